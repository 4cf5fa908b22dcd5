"use strict";

// The table of all frames: sorted by a click on a column's name, thinned by the filter.
const table = document.getElementById("table");
const body = table.tBodies[0];
const written = [...body.rows];
const names = new Intl.Collator("en", { numeric: true });

function valueOf(row, column, isNumber) {
  const cell = row.cells[column];
  if (!isNumber) return cell.textContent;
  return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
}

function sortBy(header) {
  const column = header.cellIndex;
  const isNumber = header.classList.contains("number");
  const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const keyed = written.map((row) => [valueOf(row, column, isNumber), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null); // no value: last, whichever way
    return sign * (isNumber ? a - b : names.compare(a, b));
  });
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  body.append(...keyed.map(([, row]) => row));
}

for (const header of table.tHead.rows[0].cells) {
  header.querySelector("button").addEventListener("click", () => sortBy(header));
}

const filter = document.getElementById("filter");
const shown = document.getElementById("shown");
const all = shown.textContent;

filter.addEventListener("input", () => {
  const wanted = filter.value.trim().toLowerCase();
  let left = 0;
  for (const row of written) {
    const texts = [...row.querySelectorAll("th, .text")].map((cell) => cell.textContent.toLowerCase());
    row.hidden = !texts.some((text) => text.includes(wanted));
    left += !row.hidden;
  }
  shown.textContent = left === written.length ? all : `${left.toLocaleString("en")} of ${all}`;
});

// Pictures: a click enlarges one, the arrow keys go on to its neighbours, Escape closes.
const large = document.getElementById("large");
const tiles = [...document.querySelectorAll(".tile")];
let current = 0;

function show(index) {
  current = (index + tiles.length) % tiles.length;
  const { kind } = tiles[current].dataset;
  const small = tiles[current].querySelector("img");
  const picture = large.querySelector(":scope > img");
  picture.src = small.src;
  picture.alt = small.alt;
  document.getElementById("large-title").textContent = small.alt;
  for (const bar of large.querySelectorAll(".bar")) bar.hidden = bar.dataset.kind !== kind;
  if (!large.open) large.showModal();
}

tiles.forEach((tile, index) => tile.addEventListener("click", () => show(index)));
for (const button of large.querySelectorAll(".step")) {
  button.addEventListener("click", () => show(current + Number(button.dataset.step)));
}
large.querySelector(".close").addEventListener("click", () => large.close());
large.addEventListener("click", (event) => event.target === large && large.close()); // beside the picture
large.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(current + step);
});
large.addEventListener("close", () => tiles[current].focus());
