// Hiding a region of the photo: the clicked cell and those that go with it are covered, and the
// server is asked what it expects there. `element` is the gr.HTML component, which stays.

element.addEventListener("click", ({ target }) => {
  if (!target.matches(".cell")) return;
  const cells = [...target.parentElement.children], region = cells.indexOf(target);
  const hidden = JSON.parse(element.querySelector(".hideable").dataset.hidden)[region];
  cells.forEach((cell, i) => {
    cell.classList.toggle("covered", hidden.includes(i));
    cell.classList.toggle("shown", i === region);
    cell.setAttribute("aria-pressed", i === region);
  });
  trigger("hide", { region });
});
