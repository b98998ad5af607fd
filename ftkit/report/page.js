"use strict";
// The page is complete without this script: it sorts a table by the heading that is pressed, and prints folded parts.
for (const table of document.querySelectorAll("table[data-sort]")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent.trim();
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column]?.dataset.value ?? row.cells[column]?.textContent.trim() ?? "";
      const compare = (one, other) => {
        const [first, second] = [key(one), key(other)];
        if (!first || !second) return first ? -1 : second ? 1 : 0;
        const numbers = [Number(first), Number(second)];
        const order = numbers.some(Number.isNaN) ? first.localeCompare(second) : numbers[0] - numbers[1];
        return up ? order : -order;
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const each of opened) each.open = true;
});
addEventListener("afterprint", () => {
  for (const each of opened) each.open = false;
});
