"use strict";
// Sorting and filtering only: everything else works without this script.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const head of table.querySelectorAll("th[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(table, head));
  }
}

// The column of a heading: headings of one row are below those of the row above, in the same order.
function column(table, head) {
  const row = [...head.parentElement.children];
  const before = row.slice(0, row.indexOf(head)).reduce((sum, cell) => sum + cell.colSpan, 0);
  const above = [...table.tHead.rows[0].children].filter((cell) => cell.rowSpan > 1).length;
  return head.parentElement.rowIndex > 0 ? before + above : before;
}

// A group is ordered by the last of its rows that has a value; groups without one come last.
function value(group, index) {
  let found = null;
  for (const row of group.rows) {
    const cell = row.cells[row.cells.length - (row.parentElement.parentElement.width0 - index)];
    const raw = cell && (cell.dataset.v ?? (cell.matches("th") ? cell.textContent.toLowerCase() : null));
    if (raw !== null && raw !== undefined && raw !== "") found = raw;
  }
  const number = Number(found);
  return found === null ? null : Number.isNaN(number) ? found : number;
}

function sort(table, head) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const index = column(table, head);
  table.width0 = Math.max(...[...table.tBodies].map((group) => group.rows[0].cells.length));
  const keyed = [...table.tBodies].map((group) => [value(group, index), group]);
  keyed.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
  table.append(...keyed.map(([, group]) => group));
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? a - b : a.localeCompare(b));
}

// Filters: one row of controls above the comparison.
const controls = document.querySelector(".controls");
if (controls) {
  controls.hidden = false;
  controls.addEventListener("change", filter);
}
function filter() {
  const { arch, verdict } = Object.fromEntries(new FormData(controls));
  for (const group of document.querySelectorAll("#comparison tbody, #own tbody")) {
    group.hidden = Boolean(arch) && group.dataset.key !== arch;
  }
  for (const table of document.querySelectorAll("#comparison table")) {
    table.classList.toggle("faded", Boolean(verdict));
    for (const cell of table.querySelectorAll("td")) {
      cell.classList.toggle("shown", Boolean(verdict) && cell.classList.contains(verdict));
    }
  }
}
