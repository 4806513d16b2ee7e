"use strict";
// One object holds what the page shows; every control changes it and draws anew what follows from it.
const live = JSON.parse(document.getElementById("live").textContent);
const find = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const three = (value) => (Number.isFinite(value) ? value.toFixed(3) : "–");
const report = {}; // what tests, and a curious person's console, may ask

// --- numbers packed by lib/report_explorer.py

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// Rows of whole numbers from byte planes of their differences along a row.
async function counts(text, rows) {
  const bytes = new Uint8Array(await unpacked(text));
  const number = bytes.length / 4;
  const columns = number / rows;
  const values = new Uint32Array(number);
  for (let i = 0; i < number; i += 1) {
    const step = (bytes[i] | (bytes[number + i] << 8) | (bytes[2 * number + i] << 16) | (bytes[3 * number + i] << 24)) >>> 0;
    values[i] = i % columns ? values[i - 1] + step : step; // modulo 2^32, as the differences are
  }
  return values;
}

async function unpackExplorer(packed) {
  const rows = packed.images;
  const [area, both, truth, pixels] = await Promise.all(
    [packed.area, packed.both, packed.truth, packed.pixels].map((text) => counts(text, rows)));
  const [presence, evidence] = (await Promise.all([packed.presence, packed.evidence].map(unpacked)))
    .map((buffer) => new Float64Array(buffer));
  return { ...packed, area, both, truth, pixels, presence, evidence, columns: packed.thresholds.length + 1 };
}

// --- the rule, as lib.tuning.masks_of and lib.metric.score_arrays have it

const BINS = 20;

function score(data, rule) {
  const gate = data.gates[rule.gate];
  const least = data.areas[rule.area];
  const result = { iou: 0, dice: 0, iouNerve: 0, diceNerve: 0, nerves: 0, tp: 0, fp: 0, fn: 0, tn: 0, images: data.images };
  const bins = { nerve: new Array(BINS).fill(0), none: new Array(BINS).fill(0) };
  for (let i = 0; i < data.images; i += 1) {
    const row = i * data.columns;
    let column = row + rule.threshold;
    if (rule.never_empty && data.area[column] === 0) column = row + data.columns - 1;
    const told = rule.head_weight * data.presence[i] + (1 - rule.head_weight) * data.evidence[i];
    const area = data.area[column];
    const shown = told >= gate && area >= least * data.pixels[i] && area > 0;
    const [predicted, both, truth] = [shown ? area : 0, shown ? data.both[column] : 0, data.truth[i]];
    const sum = predicted + truth;
    const iou = sum ? both / (sum - both) : 1;
    const dice = sum ? (2 * both) / sum : 1;
    result.iou += iou;
    result.dice += dice;
    if (truth > 0) { result.nerves += 1; result.iouNerve += iou; result.diceNerve += dice; }
    result[truth > 0 ? (shown ? "tp" : "fn") : shown ? "fp" : "tn"] += 1;
    bins[truth > 0 ? "nerve" : "none"][Math.min(Math.floor(iou * BINS), BINS - 1)] += 1;
  }
  const empties = data.images - result.nerves;
  result.iouEmpty = (result.iou - result.iouNerve) / empties;
  result.diceEmpty = (result.dice - result.diceNerve) / empties;
  result.iouNerve /= result.nerves;
  result.diceNerve /= result.nerves;
  result.iou /= data.images;
  result.dice /= data.images;
  return { ...result, bins };
}

// --- plots

const views = {};

function specificationOf(name) {
  return JSON.parse(JSON.stringify(live.charts[name]));
}

async function drawPlots() {
  const places = [...document.querySelectorAll("[data-chart]")];
  await Promise.all(places.map(async (place) => {
    const options = { renderer: "svg", actions: false, tooltip: { theme: dark() ? "dark" : "light" } };
    views[place.dataset.chart] = (await vegaEmbed(place, specificationOf(place.dataset.chart), options)).view;
  }));
}

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

// --- thresholds

let explorer = null;
const metricName = document.title.split(" ").pop();

function ruleOfSliders() {
  return {
    gate: Number(find("gate").value),
    threshold: Number(find("threshold").value),
    area: Number(find("area").value),
    head_weight: Number(find("head_weight").value),
    never_empty: find("never_empty").checked,
  };
}

function setSliders(rule) {
  for (const name of ["gate", "threshold", "area"]) find(name).value = rule[name];
  find("head_weight").value = rule.head_weight;
  find("never_empty").checked = rule.never_empty;
  drawExplorer();
}

function drawExplorer() {
  const rule = ruleOfSliders();
  const found = score(explorer, rule);
  const share = Number(find("share").value) / 100;
  const gate = explorer.gates[rule.gate];
  find("gate-value").textContent = gate > 1 ? "no masks" : gate.toFixed(2);
  find("threshold-value").textContent = explorer.thresholds[rule.threshold].toFixed(2);
  find("area-value").textContent = `${(100 * explorer.areas[rule.area]).toPrecision(2)} %`;
  find("share-value").textContent = `${(100 * share).toFixed(0)} %`;
  find("gate").setAttribute("aria-valuetext", find("gate-value").textContent);
  find("threshold").setAttribute("aria-valuetext", find("threshold-value").textContent);
  find("area").setAttribute("aria-valuetext", find("area-value").textContent);
  find("live-iou").textContent = three(found.iou);
  find("live-dice").textContent = three(found.dice);
  find("live-iou-nerve").textContent = three(found.iouNerve);
  const [without, withNerve] = metricName === "Dice" ? [found.diceEmpty, found.diceNerve] : [found.iouEmpty, found.iouNerve];
  find("live-expected").textContent = three((1 - share) * without + share * withNerve);
  for (const name of ["tp", "fp", "fn", "tn"]) find(`live-${name}`).textContent = found[name];
  drawHistogram(found.bins);
}

function drawHistogram(bins) {
  const values = [["with a nerve", bins.nerve], ["without", bins.none]].flatMap(([what, numbers]) =>
    numbers.map((images, k) => ({ from: k / BINS, to: (k + 1) / BINS, what, images })));
  const view = views.explorer_histogram;
  if (view) view.data("scores", values).run();
  find("live-bins").replaceChildren(...bins.nerve.map((number, k) =>
    element("tr", {}, [element("td", {}, [(k / BINS).toFixed(2)]), element("td", {}, [String(number)]), element("td", {}, [String(bins.none[k])])])));
}

async function chooseClass(number) {
  explorer = await unpackExplorer(live.explorers[number]);
  const lengths = { gate: explorer.gates.length, threshold: explorer.thresholds.length, area: explorer.areas.length };
  for (const [name, length] of Object.entries(lengths)) {
    find(name).max = length - 1;
    const part = explorer.rule[name] / (length - 1);
    find(`${name}-mark`).style.left = `calc(8px + ${part} * (100% - 16px))`; // a thumb is 16 px wide
  }
  find("head_weight").replaceChildren(...explorer.head_weights.map((weight) => {
    const words = weight === 0 ? "the map of probabilities" : weight === 1 ? "the network's own" : `${100 * weight} % the network's own`;
    return element("option", { value: weight }, [words]);
  }));
  find("head-line").hidden = explorer.head_weights.length < 2;
  find("cleaned").hidden = !explorer.cleaned;
  const nerves = explorer.truth.reduce((sum, pixels) => sum + (pixels > 0), 0);
  const both = nerves > 0 && nerves < explorer.images;
  find("share-line").hidden = find("expected-box").hidden = !both;
  find("share").value = Math.round((100 * nerves) / explorer.images);
  find("expected-name").textContent = metricName;
  setSliders(explorer.rule);
}

function startExplorer() {
  find("sliders").addEventListener("input", (event) => {
    if (event.target.id === "class") chooseClass(Number(event.target.value));
    else drawExplorer();
  });
  find("sliders").addEventListener("submit", (event) => event.preventDefault());
  find("to-rule").addEventListener("click", () => setSliders(explorer.rule));
  find("to-fixed").addEventListener("click", () => setSliders(explorer.fixed));
  return chooseClass(0);
}

// --- images

const PAGE = { grid: 24, table: 100 };
const state = { rows: [], shown: PAGE.grid, at: 0 };
const number = live.rows.image.length;
const classes = live.explorers.map((part) => part.name);
const pictured = (image) => Object.hasOwn(live.pictures, image);
const rowAt = (i) => Object.fromEntries(Object.entries(live.rows).map(([name, values]) => [name, values[i]]));

function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawn(name, attributes, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

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
  const part = find("search").value.toLowerCase();
  const keep = KINDS[find("kind").value];
  const rows = [];
  for (let i = 0; i < number; i += 1) {
    if (keep(i) && (!subject || live.rows.subject[i] === subject) &&
        live.rows.image[i].toLowerCase().includes(part) && (asTable || pictured(live.rows.image[i]))) rows.push(i);
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
  const facts = [["IoU", three(row.iou)], ["loss", row.loss.toFixed(2)], ["presence", row.presence.toFixed(2)]];
  return [row, facts];
}

function tile(i, place) {
  const [row, facts] = factsOf(i);
  const picture = live.pictures[row.image];
  const k = classAt(i);
  const pair = element("span", { class: "pair" }, [framed(picture, [["truth", picture.truth[k]]]), framed(picture, [["mask", picture.mask[k]]])]);
  const words = [element("b", {}, [row.image + (live.several ? ` ${row.class_id}` : "")]), ...facts.map(([name, value]) => element("span", {}, [`${name} ${value}`]))];
  const kind = KIND_WORDS[kindOf(i)];
  if (kind) words.push(element("span", {}, [kind]));
  if (row.twin) words.push(element("span", { title: "contradictory twins: nearly the same picture is labelled differently" }, ["twin"]));
  const made = element("button", { type: "button", class: "tile" }, [pair, element("span", { class: "facts" }, words)]);
  made.addEventListener("click", () => openViewer(place));
  return made;
}

function tableRow(i, place) {
  const row = rowAt(i);
  const name = pictured(row.image) ? element("button", { type: "button", class: "link" }, [row.image]) : row.image;
  if (name !== row.image) name.addEventListener("click", () => openViewer(place));
  const cells = [...(live.several ? [row.class_id] : []), row.subject, row.fold, three(row.iou), three(row.dice), three(row.loss), three(row.presence), row.true_area, row.area, KIND_WORDS[kindOf(i)] + (row.twin ? " twin" : "")];
  return element("tr", {}, [element("th", { scope: "row" }, [name]), ...cells.map((cell) => element("td", {}, [String(cell)]))]);
}

function drawImages(fresh = true) {
  const view = document.forms.filters.view.value;
  if (fresh) { state.rows = filtered(); state.shown = PAGE[view]; }
  const place = view === "table" ? find("list-rows") : find("grid");
  const make = view === "table" ? tableRow : tile;
  if (fresh) { find("grid").replaceChildren(); find("list-rows").replaceChildren(); }
  for (let k = place.children.length; k < Math.min(state.shown, state.rows.length); k += 1) place.append(make(state.rows[k], k));
  find("list").hidden = view !== "table";
  find("grid").hidden = view === "table";
  find("more").hidden = state.shown >= state.rows.length;
  const unit = live.several ? "masks" : "images";
  find("count").textContent = `${state.rows.length} ${unit}${view === "grid" ? " with a picture" : ""}`;
}

function startImages() {
  find("filters").addEventListener("input", () => drawImages());
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("more").addEventListener("click", () => { state.shown += PAGE[document.forms.filters.view.value]; drawImages(false); });
  for (const button of document.querySelectorAll("[data-subject]")) {
    button.addEventListener("click", () => {
      find("subject").value = button.dataset.subject;
      drawImages();
      find("images").scrollIntoView();
      find("subject").focus({ preventScroll: true });
    });
  }
  drawImages();
}

// --- one image, large

function openViewer(place) {
  state.at = place;
  drawViewer();
  if (!find("viewer").open) find("viewer").showModal();
}

function drawViewer() {
  const i = state.rows[state.at];
  const [row] = factsOf(i);
  const picture = live.pictures[row.image];
  const k = classAt(i);
  const box = framed(picture, [["truth", picture.truth[k]], ["mask", picture.mask[k]]]);
  const size = { width: picture.width, height: picture.height };
  const map = drawn("image", { href: `data:image/webp;base64,${picture.probability[k]}`, ...size, preserveAspectRatio: "none" });
  box.querySelector("image").after(
    drawn("mask", { id: "probability", maskUnits: "userSpaceOnUse", x: 0, y: 0, ...size }, [map]),
    drawn("rect", { ...size, id: "overlay", fill: "#e0409a", mask: "url(#probability)" }));
  find("viewer-picture").replaceChildren(box);
  find("viewer-title").textContent = `${row.image}${live.several ? ` ${row.class_id}` : ""} (${state.at + 1} of ${state.rows.length})`;
  const words = [row.subject && `subject ${row.subject}`, `fold ${row.fold}`, `IoU ${three(row.iou)}`, `Dice ${three(row.dice)}`, `loss ${three(row.loss)}`, `presence ${three(row.presence)}`, `true area ${row.true_area} px`, `predicted ${row.area} px`, KIND_WORDS[kindOf(i)], row.twin && "has a twin labelled differently"];
  find("viewer-facts").textContent = words.filter(Boolean).join(" · ");
  drawOverlay();
}

function drawOverlay() {
  find("overlay").setAttribute("opacity", Number(find("opacity").value) / 100);
  for (const kind of ["truth", "mask"]) {
    find("viewer-picture").querySelector(`.outline.${kind}`).style.display = find(`show-${kind}`).checked ? "" : "none";
  }
}

function turn(step) {
  for (let k = state.at + step; k >= 0 && k < state.rows.length; k += step) {
    if (pictured(live.rows.image[state.rows[k]])) { state.at = k; drawViewer(); return; }
  }
}

function startViewer() {
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("close").addEventListener("click", () => find("viewer").close());
  find("viewer").addEventListener("click", (event) => { if (event.target === find("viewer")) find("viewer").close(); });
  find("viewer").addEventListener("keydown", (event) => {
    if (event.target.id === "opacity" || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    turn(event.key === "ArrowLeft" ? -1 : 1);
  });
  for (const id of ["opacity", "show-truth", "show-mask"]) find(id).addEventListener("input", drawOverlay);
}

// --- start

async function start() {
  startImages();
  startViewer();
  await Promise.all([drawPlots(), startExplorer()]);
  drawExplorer();
  Object.assign(report, { score: (rule) => score(explorer, rule), rows: () => state.rows.map((i) => live.rows.image[i]), chooseClass });
  window.report = report;
  document.documentElement.dataset.ready = "yes";
}

start();
