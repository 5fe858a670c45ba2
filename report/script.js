// Sorting, filters, arrow keys and the values of figures: everything can be read without this script.
// The page carries it without these comments and without indentation (report.page.compact).
const all = (pick, node = document) => [...node.querySelectorAll(pick)];
const on = (node, kinds, act) => kinds.split(" ").forEach((kind) => node.addEventListener(kind, act));
const said = (node) => (node.said ??= node.textContent.toLowerCase());
const rect = (node) => node.getBoundingClientRect();
const form = document.querySelector(".controls");

// Headings sort. A group is ordered by the last of its rows that has a value; groups without one come last.
for (const head of all("[data-sort]")) {
  head.innerHTML = `<button type="button">${head.innerHTML}</button>`;
  on(head, "click", () => sort(head));
}
function value(group, fromEnd) {
  const cells = [...group.rows].map((row) => [...row.cells].at(-fromEnd));
  const found = cells.map((cell) => cell?.dataset.v ?? (cell?.matches("th") ? said(cell) : "")).findLast(Boolean);
  return isNaN(found) ? found : Number(found);
}
function sort(head) {
  const table = head.closest("table");
  const sign = head.ariaSort === "ascending" ? -1 : 1;
  for (const other of all("th", table)) other.ariaSort = null;
  head.ariaSort = sign < 0 ? "descending" : "ascending";
  // Every heading of the last row has one column, and stubs that span rows are in front.
  const fromEnd = head.parentElement.children.length - [...head.parentElement.children].indexOf(head);
  const keyed = [...table.tBodies].map((group) => [value(group, fromEnd), group]);
  keyed.sort(([a], [b]) => {
    const words = typeof a === "string" && typeof b === "string";
    return (a === undefined) - (b === undefined) || sign * (words ? a.localeCompare(b) : a - b || 0);
  });
  table.append(...keyed.map(([, group]) => group));
}

// One tab stop a table: arrow keys lead on, also to the links above it, Home and End to the ends of a row.
const STOPS = "td > a, th button, .perma, .files a, .help summary";
const groups = all(".part, figure .title, figure .files").map((box) => ({ box }));
for (const group of groups) {
  const { box } = group;
  for (const stop of all(STOPS, box)) stop.tabIndex = -1;
  if (box.querySelector("td > a, button")) box.querySelector(".scroll").removeAttribute("tabindex");
  on(box, "focusin", ({ target }) => target.matches(STOPS) && land(group, target));
  on(box, "keydown", move);
}
function land(group, stop) {
  if (group.now) group.now.tabIndex = -1;
  group.now = stop;
  if (stop) stop.tabIndex = 0;
}
const reach = (box) => all(STOPS, box).filter((stop) => !stop.closest("[hidden]"));
function settle() {
  for (const group of groups) {
    const stops = reach(group.box);
    if (!stops.includes(group.now)) land(group, stops.find((stop) => stop.closest("tr")) ?? stops[0]);
  }
}
function move(event) {
  const { key, target, currentTarget } = event;
  const stops = reach(currentTarget), at = stops.indexOf(target);
  if (at < 0) return;
  const grid = [...Map.groupBy(stops, (stop) => stop.closest("tr")).values()];
  const y = grid.findIndex((row) => row.includes(target));
  const far = (stop) => Math.abs(rect(stop).left - rect(target).left);
  const nearest = (row) => row?.toSorted((a, b) => far(a) - far(b))[0];
  const goal = {
    ArrowRight: stops[at + 1], ArrowLeft: stops[at - 1], Home: grid[y][0], End: grid[y].at(-1),
    ArrowUp: nearest(grid[y - 1]), ArrowDown: nearest(grid[y + 1]),
  }[key];
  if (!goal) return;
  event.preventDefault();
  goal.focus();
}

// Filters: what has a key of the asked kind must have that one; their state is in the address.
let want = {};
const fits = ({ dataset }, ...axes) => axes.every((axis) => !want[axis] || !(axis in dataset) || dataset[axis] === want[axis]);
const known = (node) => fits(node, "dataset", "arch", "norm", "recipe");
function filter() {
  want = Object.fromEntries(new FormData(form));
  want.text = want.text.trim().toLowerCase();
  const parts = all("main .part, main figure");
  for (const part of parts) {
    part.titled = said(part.querySelector("h3")).includes(want.text);
    part.hidden = !(known(part) && (part.matches("figure") ? marks(part) : rows(part)));
  }
  const asked = new URLSearchParams(Object.entries(want).filter(([, key]) => key));
  const shown = parts.filter((part) => !part.hidden).length;
  form.querySelector("output").value = asked.size ? `${shown} of ${parts.length} tables and figures` : "";
  history.replaceState(0, "", (asked.size ? `?${asked}` : location.pathname) + location.hash);
  settle();
}
function rows(part) {
  const verdict = part.matches("[data-judged]") && want.verdict;
  for (const body of all("tbody", part)) {
    const shown = [...body.rows].filter((row) => {
      let kept = 0;
      for (const cell of all("td", row)) {
        const found = fits(cell, "norm") && (!verdict || cell.matches(`.${verdict}`));
        cell.classList.toggle("off", !found && !cell.matches(".claim"));
        kept += found;
      }
      row.hidden = !(kept && (part.titled || said(body).includes(want.text)) && [body, row].every(known));
      return !row.hidden;
    });
    // The name that several rows share moves to the first of them that is shown.
    body.name ??= body.querySelector("th[rowspan]");
    if (body.name && shown[0]) {
      shown[0].prepend(body.name);
      body.name.rowSpan = shown.length;
    }
  }
  return part.querySelector("tbody tr:not([hidden])");
}
// A figure's marks are shown unless the filter, or an entry of the legend that was switched off, is against them.
function marks(figure) {
  const off = all(".muted", figure).flatMap((key) => Object.entries(key.dataset));
  const named = (node) => figure.titled || node.tip.toLowerCase().includes(want.text);
  const archs = new Set(all(".mark", figure).filter(named).map((node) => node.dataset.arch));
  const nodes = all("svg .mark, svg .piece", figure);
  for (const node of nodes) {
    const shown = archs.has(node.dataset.arch) && fits(node, "verdict") && known(node);
    node.classList.toggle("off", !shown || off.some(([axis, key]) => node.dataset[axis] === key));
  }
  return off[0] || !nodes[0] || nodes.some((node) => !node.matches(".off"));
}

// Values of figures: under the pointer, and with arrow keys when the figure has the focus. Up and down lead along a
// line; Enter on an entry of the legend switches its marks.
const tip = document.body.appendChild(document.createElement("div"));
tip.className = "tip";
tip.role = "status";
tip.hidden = true;
function show(node, place = 1) {
  for (const other of all(".now")) other.classList.remove("now");
  tip.hidden = !node;
  if (!node) return;
  node.classList.add("now");
  const { left, width, top, bottom } = rect(node), { values, first, unit } = node.dataset;
  const line = values?.split(" "), at = line && Math.round(place * (line.length - 1));
  tip.textContent = node.tip + (line ? `: ${line[at]} ${unit} ${at + +first}` : "");
  const x = left + width * (line ? place : 0.5) - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(x, innerWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${top > 60 ? top - tip.offsetHeight - 6 : bottom + 6}px`;
}
// An entry's sample and its label are two keys with the same data.
function toggle(key, data = JSON.stringify(key.dataset)) {
  for (const other of all(".key", key.ownerSVGElement)) {
    if (JSON.stringify(other.dataset) === data) other.classList.toggle("muted");
  }
  marks(key.closest("figure"));
}
for (const box of all("figure .scroll:has(.mark)")) {
  let now = -1, place = 1;
  for (const title of all("title", box)) {
    title.parentNode.tip = title.textContent;
    title.remove();
  }
  on(box, "pointermove", ({ clientX: x, clientY: y, target }) => {
    const far = (node, { left, right, top, bottom } = rect(node)) => Math.hypot(x - (left + right) / 2, y - (top + bottom) / 2);
    const near = all(".mark:not(.off, [data-values])", box).map((node) => [far(node), node]);
    const hit = target.closest(".mark") ?? near.sort(([a], [b]) => a - b).find(([px]) => px < 14)?.[1];
    show(hit, hit && (x - rect(hit).left) / rect(hit).width);
  });
  on(box, "pointerleave blur", () => show());
  for (const key of all(".key", box)) {
    key.tip = `${key.textContent.trim()} on or off: Enter`;
    on(key, "click", () => toggle(key));
  }
  on(box, "keydown", (event) => {
    const stops = [...all(".key:has(text)", box), ...all(".mark:not(.off)", box)], { key } = event, node = stops[now];
    const clip = (number, most) => Math.max(0, Math.min(most, number));
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key], along = { ArrowUp: 1, ArrowDown: -1 }[key];
    const values = node?.dataset.values;
    if (step) [now, place] = [clip(now + step, stops.length - 1), 1];
    else if (along && values) place = clip(place + along / (values.split(" ").length - 1), 1);
    else if (key === "Enter" && node?.matches(".key")) toggle(node);
    else return;
    event.preventDefault();
    show(stops[now], place);
  });
}

// The current section is marked; the contents are open in a wide window; a link opens what it leads to.
const wide = matchMedia("(min-width:78rem)");
const unfold = () => all(".side details").forEach((details) => (details.open = wide.matches));
wide.onchange = unfold;
unfold();
for (const link of all("nav a")) {
  const section = document.querySelector(link.hash);
  const mark = ([{ isIntersecting }]) => (link.ariaCurrent = isIntersecting || null);
  new IntersectionObserver(mark, { rootMargin: "-20% 0px -79%" }).observe(section);
  on(link, "click", () => {
    for (const details of all(":scope > details", section)) details.open = true;
    unfold();
  });
}
if (form) {
  form.hidden = false;
  for (const [axis, key] of new URLSearchParams(location.search)) if (form[axis]) form[axis].value = key;
  on(form, "input", filter);
  on(form, "submit", (event) => event.preventDefault());
  on(form, "reset", () => setTimeout(filter));
  filter();
}
settle();
