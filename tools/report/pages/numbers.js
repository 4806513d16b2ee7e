// One object holds what the page shows; every control changes it and draws anew what follows from it.
const find = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const three = (value) => (Number.isFinite(value) ? value.toFixed(3) : "–");
const report = {}; // what tests, and a curious person's console, may ask

// --- numbers packed by tools/report/explorer.py

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

// --- the rule, as lib.decision.search.masks_of and lib.metric.score_arrays have it

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
