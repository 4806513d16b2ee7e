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
  const words = [row.subject && `subject ${row.subject}`, `fold ${row.fold}`, `IoU ${three(row.iou)}`, `Dice ${three(row.dice)}`, `loss ${three(row.loss)}`, `HD95 ${row.hd95} px`, `NSD ${three(row.nsd)}`, `presence ${three(row.presence)}`, `true area ${row.true_area} px`, `predicted ${row.area} px`, KIND_WORDS[kindOf(i)], row.twin && "has a twin labelled differently"];
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
