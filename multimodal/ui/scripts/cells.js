// The cells of a board are one stop of the Tab key: arrow keys move on to the next cell and click it.
// `element` is the gr.HTML component, which stays while its contents change.

element.addEventListener("focusin", ({ target }) => {
  if (!target.matches(".cell")) return;
  for (const cell of target.parentElement.children) cell.tabIndex = cell === target ? 0 : -1;
});
element.addEventListener("keydown", (event) => {
  if (!event.target.matches(".cell")) return;
  const board = event.target.parentElement, columns = +board.dataset.columns;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
  if (!step) return;
  event.preventDefault();
  const next = board.children[[...board.children].indexOf(event.target) + step];
  next?.focus();
  next?.click();
});
