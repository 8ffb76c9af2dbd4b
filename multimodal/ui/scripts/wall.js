// A codebook of the Draw tab: the code under the pointer, or reached with the arrow keys, is shown
// large with its number and share. `element` is the gr.HTML component, which stays.

function show(wall, number) {
  const codes = JSON.parse(wall.dataset.codes);
  if (!codes[number]) return;
  wall.dataset.chosen = number;
  const { columns, rows } = wall.dataset;
  const row = Math.floor(number / columns), column = number % columns;
  const mark = wall.querySelector(".mark");
  mark.hidden = false;
  mark.style.left = (100 * column) / columns + "%";
  mark.style.top = (100 * row) / rows + "%";
  const said = wall.nextElementSibling;
  const patch = said.querySelector(".patch");
  patch.style.cssText =
    `background-image: url(${wall.querySelector("img").src});` +
    `background-size: ${100 * columns}% ${100 * rows}%;` +
    `background-position: ${(100 * column) / (columns - 1)}% ${(100 * row) / Math.max(rows - 1, 1)}%`;
  const [code, share] = codes[number];
  said.querySelector(".what").textContent = wall.dataset.say
    .replace("{code}", code)
    .replace("{share}", (100 * share).toFixed(2) + " %");
}

element.addEventListener("pointermove", (event) => {
  const wall = event.target.closest(".wall");
  if (!wall) return;
  const box = wall.getBoundingClientRect(), { columns, rows } = wall.dataset;
  const column = Math.floor(((event.clientX - box.left) / box.width) * columns);
  const row = Math.floor(((event.clientY - box.top) / box.height) * rows);
  if (column >= 0 && column < columns) show(wall, row * columns + column);
});
element.addEventListener("keydown", (event) => {
  const wall = event.target.closest(".wall");
  if (!wall) return;
  const columns = +wall.dataset.columns;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!step) return;
  event.preventDefault();
  show(wall, "chosen" in wall.dataset ? +wall.dataset.chosen + step : 0);
});
