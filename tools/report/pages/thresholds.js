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
  find("live-rule").textContent = wordsOfRule(rule, found);
  drawHistogram(found.bins);
}

// Which line of the chart of rules has this score too, or why none has it.
function wordsOfRule(rule, found) {
  const where = live.several ? "of this class alone; the chart of rules above has all classes together" : "the same as in the chart of rules above";
  const bare = score(explorer, rule, false);
  const cleaning = explorer.cleaned ? ` It also drops small pieces or fills holes, which the sliders leave out: without that it has IoU ${three(bare.iou)}.` : "";
  if (same(rule, explorer.rule)) return `The chosen rule, ${where}. It was chosen on these images.${found.iou === bare.iou ? "" : cleaning}`;
  if (same(rule, explorer.fixed)) return `The fixed threshold, ${where}.`;
  return explorer.cleaned ? "A rule of your own, without the dropping of pieces and filling of holes that the chosen one does." : "A rule of your own.";
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
    const place = explorer.rule[name] / (length - 1);
    find(`${name}-mark`).style.left = `calc(8px + ${place} * (100% - 16px))`; // a thumb is 16 px wide
  }
  find("head_weight").replaceChildren(...explorer.head_weights.map((weight) => {
    const words = weight === 0 ? "the map of probabilities" : weight === 1 ? "the network's own" : `${100 * weight} % the network's own`;
    return element("option", { value: weight }, [words]);
  }));
  find("head-line").hidden = explorer.head_weights.length < 2;
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
  document.addEventListener("drawn", (event) => { if (event.detail === "explorer_histogram") drawExplorer(); });
  find("to-rule").addEventListener("click", () => setSliders(explorer.rule));
  find("to-fixed").addEventListener("click", () => setSliders(explorer.fixed));
  return chooseClass(0);
}
