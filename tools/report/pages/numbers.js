// What tests, and a curious person's console, may ask.
const report = {};

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
  const [cleanArea, cleanBoth] = packed.cleaned
    ? await Promise.all([packed.cleaned.area, packed.cleaned.both].map((text) => counts(text, rows))) : [];
  return { ...packed, area, both, truth, pixels, presence, evidence, cleanArea, cleanBoth, columns: packed.thresholds.length + 1 };
}

// --- the rule, as lib.decision.search.masks_of and lib.metric.score_arrays have it

const BINS = 20;

const same = (a, b) => ["gate", "threshold", "area", "head_weight", "never_empty"].every((name) => a[name] === b[name]);

// Pieces and holes are known for the chosen rule alone: there `clean` takes its masks as they are.
function score(data, rule, clean = data.cleaned && same(rule, data.rule)) {
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
    const enough = told >= gate && area >= least * data.pixels[i];
    const predicted = clean ? data.cleanArea[i] : enough ? area : 0;
    const both = clean ? data.cleanBoth[i] : enough ? data.both[column] : 0;
    const [shown, truth] = [predicted > 0, data.truth[i]];
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
