// The token grid of the Draw tab: a cell shows what it could have been and which words it listened
// to, a word shows which cells listened to it. `element` is the gr.HTML component, which stays while
// its contents change, so events are caught there.

let chosen = 0; // the cell that is shown when the pointer is elsewhere

const cells = () => [...element.querySelectorAll(".cell")];

function showCell(number) {
  const tokens = element.querySelector(".tokens");
  const cell = JSON.parse(tokens.dataset.cells)[number];
  const grid = Math.sqrt(cells().length);
  const row = Math.floor(number / grid), column = number % grid;
  cells().forEach((button, i) => button.classList.toggle("shown", i === number));
  tokens.querySelector(".cellsay").textContent = fill(tokens.dataset.say, {
    row: row + 1, column: column + 1, code: cell.code, chance: percent(cell.chance),
  });
  const across = grid * cell.codes.length; // patches in a row of the sheet
  tokens.querySelectorAll(".alternative").forEach((line, i) => {
    const drawn = cell.codes[i] === cell.code;
    const x = (column * cell.codes.length + i) / Math.max(across - 1, 1);
    const y = row / Math.max(grid - 1, 1);
    line.classList.toggle("taken", drawn);
    line.querySelector(".patch").style.cssText =
      `background-size: ${100 * across}% ${100 * grid}%;` +
      `background-position: ${100 * x}% ${100 * y}%`;
    line.querySelector(".fill").style.width = (100 * cell.chances[i]) / cell.chances[0] + "%";
    line.querySelector(".share").textContent = percent(cell.chances[i]);
    line.querySelector(".code").textContent =
      fill(tokens.dataset.code, { code: cell.codes[i] }) + (drawn ? " " + tokens.dataset.drawn : "");
  });
  const most = Math.max(...cell.words);
  tokens.querySelectorAll(".word").forEach((word, i) => {
    word.style.setProperty("--listened", (100 * cell.words[i]) / most + "%");
    word.title = percent(cell.words[i]);
  });
}

function showWord(word) {
  const heat = element.querySelector(".board .heat");
  const on = word.getAttribute("aria-pressed") !== "true";
  element.querySelectorAll(".word").forEach((other) => other.setAttribute("aria-pressed", false));
  word.setAttribute("aria-pressed", on);
  heat.src = word.dataset.heat;
  heat.hidden = !on;
}

function choose(cell) {
  chosen = cells().indexOf(cell);
  showCell(chosen);
}

element.addEventListener("pointerover", (event) => {
  if (event.target.matches(".cell")) showCell(cells().indexOf(event.target));
});
element.addEventListener("pointerout", (event) => {
  if (event.target.matches(".cell") && !event.relatedTarget?.matches(".cell")) showCell(chosen);
});
element.addEventListener("focusin", (event) => {
  if (event.target.matches(".cell")) choose(event.target);
});
element.addEventListener("click", (event) => {
  if (event.target.matches(".cell")) choose(event.target);
  if (event.target.matches(".word")) showWord(event.target);
});

function begin() {
  const count = cells().length;
  chosen = Math.floor((count + Math.sqrt(count)) / 2); // the middle
  if (!count) return;
  cells()[chosen].tabIndex = 0;
  showCell(chosen);
}
watch("value", begin);
begin();
