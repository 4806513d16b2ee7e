// --- downloads: every figure as SVG and PNG, every table as CSV

const SCALE = 2; // pixels of a PNG for one of the page

const fileName = (title) => [document.title.split(":")[0], title].join(" ").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");

function save(title, ending, content) {
  const address = URL.createObjectURL(content);
  element("a", { href: address, download: `${fileName(title)}.${ending}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

// A spreadsheet runs a cell that begins with one of =+-@ as a formula; an apostrophe makes it a text.
function csvCell(value) {
  const text = String(value ?? "");
  const told = text === "–" ? "" : text;
  const safe = /^\s*[=+\-@]/.test(told) && !Number.isFinite(Number(told)) ? `'${told}` : told;
  return /[",;\t\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

// RFC 4180; the mark in front tells Excel that it is UTF-8.
const csvOf = (rows) => `\ufeff${rows.map((row) => `${row.map(csvCell).join(",")}\r\n`).join("")}`;

const contentOf = (table) => [headsOf(table), ...[...table.tBodies].flatMap((body) => [...body.rows]).map((row) => [...row.cells].map(words))];

// `rowsOf` of a table gives the rows where the page shows some of them only.
const saveCsv = (title, table) => save(title, "csv", new Blob([csvOf(table.rowsOf ? table.rowsOf() : contentOf(table))], { type: "text/csv" }));

async function asSvg(view) {
  const text = await view.toSVG();
  return text.replace(/(<svg[^>]*>)/, '$1<rect width="100%" height="100%" fill="white"/>');
}

async function asPng(source, scale = 1) {
  const picture = new Image();
  picture.src = source;
  await picture.decode();
  const canvas = element("canvas", { width: scale * picture.naturalWidth, height: scale * picture.naturalHeight });
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

const svgAddress = (text) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;

function saveDrawing(title, ending, text) {
  if (ending === "svg") return save(title, ending, new Blob([text], { type: "image/svg+xml" }));
  return asPng(svgAddress(text), SCALE).then((content) => save(title, ending, content));
}

const link = (text, title, action) => button(text, { class: "link", "aria-label": `${text} of ${title}` }, action);
const offer = (links) => element("p", { class: "take" }, ["Download ", ...links]);

// The last heading before a node, or the table's own caption.
function titleOf(node) {
  if (node.caption) return words(node.caption);
  const before = all("h2, h3").filter((heading) => heading.compareDocumentPosition(node) & Node.DOCUMENT_POSITION_FOLLOWING);
  return words(before.at(-1));
}

function offerPlot(place) {
  const title = titleOf(place);
  const box = place.closest("figure");
  const drawing = (ending) => async () => saveDrawing(title, ending, await asSvg(views[place.dataset.chart]));
  const links = ["svg", "png"].map((ending) => link(ending.toUpperCase(), title, drawing(ending)));
  const table = box.querySelector("table");
  (box.querySelector("details") || place).after(offer([...links, link("CSV", title, () => saveCsv(title, table))]));
}

function offerPicture(picture) {
  const title = picture.alt;
  picture.after(offer([link("PNG", title, async () => save(title.split(",")[0], "png", await asPng(picture.src)))]));
}

function offerTable(table) {
  const title = titleOf(table);
  (table.closest(".scroll") || table).after(offer([link("CSV", title, () => saveCsv(title, table))]));
}

function offerDownloads() {
  if (window.vegaEmbed) all("[data-chart]").forEach(offerPlot);
  all("figure img").forEach(offerPicture);
  all("table").filter((table) => !table.closest("figure") || !window.vegaEmbed).forEach(offerTable);
}

offerDownloads();
