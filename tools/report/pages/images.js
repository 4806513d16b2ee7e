// --- images

const PAGE = { grid: 24, table: 100 };
const state = { rows: [], shown: PAGE.grid, at: 0 };
const number = live.rows.image.length;
const classes = live.explorers.map((explorer) => explorer.name);
const pictured = (image) => Object.hasOwn(live.pictures, image);
const rowAt = (i) => Object.fromEntries(Object.entries(live.rows).map(([name, values]) => [name, values[i]]));

const KINDS = {
  all: () => true,
  nerve: (i) => live.rows.true_area[i] > 0,
  hit: (i) => live.rows.true_area[i] > 0 && live.rows.area[i] > 0,
  "false alarm": (i) => live.rows.true_area[i] === 0 && live.rows.area[i] > 0,
  missed: (i) => live.rows.true_area[i] > 0 && live.rows.area[i] === 0,
  none: (i) => live.rows.true_area[i] === 0 && live.rows.area[i] === 0,
  twin: (i) => live.rows.twin[i] === 1,
};

const kindOf = (i) => (["hit", "false alarm", "missed"].find((kind) => KINDS[kind](i)) || "none");
const KIND_WORDS = { hit: "", "false alarm": "false alarm", missed: "missed", none: "rightly empty" };

function filtered() {
  const asTable = document.forms.filters.view.value === "table";
  const subject = find("subject") ? find("subject").value : "";
  const typed = find("search").value.toLowerCase();
  const keep = KINDS[find("kind").value];
  const rows = [];
  for (let i = 0; i < number; i += 1) {
    if (keep(i) && (!subject || live.rows.subject[i] === subject) &&
        live.rows.image[i].toLowerCase().includes(typed) && (asTable || pictured(live.rows.image[i]))) rows.push(i);
  }
  const key = find("sort").value;
  const values = live.rows[key.replace("-", "")];
  const sign = key.startsWith("-") ? -1 : 1;
  const order = key === "image"
    ? (a, b) => values[a].localeCompare(values[b], "en", { numeric: true })
    : (a, b) => sign * (values[a] - values[b]) || a - b;
  return rows.sort(order);
}

function framed(picture, paths) {
  const frame = drawn("image", { href: `data:image/webp;base64,${picture.frame}`, width: picture.width, height: picture.height, preserveAspectRatio: "none" });
  const centres = drawn("g", { transform: "translate(.5 .5)" }, paths.map(([kind, path]) => drawn("path", { d: path, class: `outline ${kind}` })));
  return drawn("svg", { viewBox: `0 0 ${picture.width} ${picture.height}`, "aria-hidden": "true" }, [frame, centres]);
}

const classAt = (i) => Math.max(0, classes.indexOf(live.several ? live.rows.class_id[i] : ""));

function factsOf(i) {
  const row = rowAt(i);
  const facts = [["IoU", three(row.iou)], ["Dice", three(row.dice)], ["presence", three(row.presence)]];
  return [row, facts];
}

function tile(i) {
  const [row, facts] = factsOf(i);
  const picture = live.pictures[row.image];
  const k = classAt(i);
  const pair = element("span", { class: "pair" }, [framed(picture, [["truth", picture.truth[k]]]), framed(picture, [["mask", picture.mask[k]]])]);
  const words = [element("b", {}, [row.image + (live.several ? ` ${row.class_id}` : "")]), ...facts.map(([name, value]) => element("span", {}, [`${name} ${value}`]))];
  const kind = KIND_WORDS[kindOf(i)];
  if (kind) words.push(element("span", {}, [kind]));
  if (row.twin) words.push(element("span", { title: "contradictory twins: nearly the same picture is labelled differently" }, ["twin"]));
  const made = element("button", { type: "button", class: "tile" }, [pair, element("span", { class: "facts" }, words)]);
  made.addEventListener("click", () => openImage(i));
  return made;
}

// The columns of how far a mask can be trusted, which not every run has.
const trustOf = (row) => [row.expected, row.unlike].filter((value) => value !== undefined);

function cellsOf(i) {
  const row = rowAt(i);
  return [row.image, ...(live.several ? [row.class_id] : []), row.subject, row.fold, three(row.iou), three(row.dice), three(row.loss), three(row.presence), ...trustOf(row).map(three), row.true_area, row.area, KIND_WORDS[kindOf(i)] + (row.twin ? " twin" : "")];
}

function tableRow(i) {
  const [image, ...cells] = cellsOf(i);
  const name = button(image, { class: "link" }, () => openImage(i));
  return element("tr", {}, [element("th", { scope: "row" }, [name]), ...cells.map((cell) => element("td", {}, [String(cell)]))]);
}

function drawImages(fresh = true) {
  const view = document.forms.filters.view.value;
  if (fresh) { state.rows = filtered(); state.shown = PAGE[view]; }
  const place = view === "table" ? find("list-rows") : find("grid");
  const make = view === "table" ? tableRow : tile;
  if (fresh) { find("grid").replaceChildren(); find("list-rows").replaceChildren(); }
  for (let k = place.children.length; k < Math.min(state.shown, state.rows.length); k += 1) place.append(make(state.rows[k]));
  find("list").hidden = view !== "table";
  if (view === "table") fitTables([find("list")]);
  find("grid").hidden = view === "table";
  find("more").hidden = state.shown >= state.rows.length;
  const unit = live.several ? "masks" : "images";
  find("count").textContent = `${state.rows.length} ${unit}${view === "grid" ? " with a picture" : ""}`;
}

function startImages() {
  find("filters").addEventListener("input", () => drawImages());
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  const table = find("list").querySelector("table");
  table.rowsOf = () => [headsOf(table), ...state.rows.map(cellsOf)]; // those that are not shown yet too
  find("more").addEventListener("click", () => { state.shown += PAGE[document.forms.filters.view.value]; drawImages(false); });
  for (const name of all("[data-subject]")) {
    name.addEventListener("click", () => {
      find("subject").value = name.dataset.subject;
      drawImages();
      find("images").scrollIntoView();
      find("subject").focus({ preventScroll: true });
    });
  }
  drawImages();
}
