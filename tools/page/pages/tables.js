// --- tables: one that is wider than its place becomes a list, each value below the head of its column

const ROLES = { TABLE: "table", THEAD: "rowgroup", TBODY: "rowgroup", TR: "row", TD: "cell" };
const words = (node) => node.textContent.trim().replace(/\s+/g, " ");

// The head of each column; of several rows of heads, those above it together.
function headsOf(table, wordsIn = words) {
  const rows = table.tHead ? [...table.tHead.rows] : [];
  const spread = rows.map((row) => [...row.cells].flatMap((cell) => Array(cell.colSpan).fill(wordsIn(cell))));
  return (spread.at(-1) || []).map((_, k) => spread.map((row) => row[k]).filter(Boolean).join(", "));
}

const roleOf = (node) => ROLES[node.tagName] || (node.scope === "row" ? "rowheader" : "columnheader");

function stack(table) {
  const heads = headsOf(table, (cell) => cell.dataset.short || words(cell));
  for (const body of table.tBodies) for (const row of body.rows) [...row.cells].forEach((cell, k) => { cell.dataset.head = heads[k] || ""; });
  for (const node of [table, ...all("thead, tbody, tr, td, th", table)]) node.setAttribute("role", roleOf(node));
  table.classList.add("stacked");
}

// Measures all before it changes any, so that the page is laid out twice and not once a table.
function fitTables(boxes) {
  const tables = boxes.map((box) => box.querySelector("table"));
  for (const table of tables) table.classList.remove("stacked");
  const wide = tables.filter((table, k) => table.offsetWidth > boxes[k].clientWidth);
  wide.forEach(stack);
}

const fitted = new Map(); // the width that each box had when its table was fitted
const watcher = new ResizeObserver((entries) => {
  const changed = entries.map((entry) => entry.target).filter((box) => fitted.get(box) !== box.clientWidth);
  for (const box of changed) fitted.set(box, box.clientWidth);
  fitTables(changed);
});
for (const box of all(".scroll:has(table)")) watcher.observe(box);
