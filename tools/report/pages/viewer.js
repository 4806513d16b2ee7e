// --- one image, large

const shownImage = () => (find("viewer").open ? state.at : null);
const nameOf = (i) => live.rows.image[i] + (live.several ? ` ${live.rows.class_id[i]}` : "");

// Shows an image; address.js calls it when the address names one.
function showImage(i) {
  state.at = i;
  drawViewer(i);
  if (!find("viewer").open) find("viewer").showModal();
}

function pictureOf(picture, k) {
  const box = framed(picture, [["truth", picture.truth[k]], ["mask", picture.mask[k]]]);
  const size = { width: picture.width, height: picture.height };
  const map = drawn("image", { href: `data:image/webp;base64,${picture.probability[k]}`, ...size, preserveAspectRatio: "none" });
  box.querySelector("image").setAttribute("filter", "url(#light)");
  box.querySelector("image").after(
    drawn("mask", { id: "probability", maskUnits: "userSpaceOnUse", x: 0, y: 0, ...size }, [map]),
    drawn("rect", { ...size, id: "overlay", fill: "#e0409a", mask: "url(#probability)" }));
  const channels = ["R", "G", "B"].map((channel) => drawn(`feFunc${channel}`, { type: "linear" }));
  box.prepend(drawn("filter", { id: "light", "color-interpolation-filters": "sRGB" }, [drawn("feComponentTransfer", {}, channels)]));
  return box;
}

function drawViewer(i) {
  const picture = live.pictures[live.rows.image[i]];
  find("viewer-picture").replaceChildren(picture ? pictureOf(picture, classAt(i)) : element("p", { class: "remark" }, ["This page has no picture of this image."]));
  find("viewer-tools").hidden = find("viewer-take").hidden = !picture;
  const place = state.rows.indexOf(i);
  find("viewer-title").textContent = nameOf(i) + (place >= 0 ? ` (${place + 1} of ${state.rows.length})` : "");
  find("viewer-facts").textContent = wordsOf(i);
  find("viewer-twins").replaceChildren(...twinsOf(i));
  if (!picture) return;
  zoomOut();
  drawOverlay();
}

function wordsOf(i) {
  const row = rowAt(i);
  const facts = [row.subject && `subject ${row.subject}`, `fold ${row.fold}`, `IoU ${three(row.iou)}`, `Dice ${three(row.dice)}`, `loss ${three(row.loss)}`, `HD95 ${row.hd95} px`, `NSD ${three(row.nsd)}`, `presence ${three(row.presence)}`, Number.isFinite(row.expected) && `expected ${three(row.expected)}`, Number.isFinite(row.unlike) && `unlike ${three(row.unlike)}`, `true area ${row.true_area} px`, `predicted ${row.area} px`, KIND_WORDS[kindOf(i)]];
  return facts.filter(Boolean).join(" · ");
}

// Of each twin a line with a link, where it is in these scores too.
function twinsOf(i) {
  return (live.twins[live.rows.image[i]] || []).map((twin) => {
    const there = live.rows.image.findIndex((image, k) => image === twin.image && classAt(k) === classAt(i));
    const name = there < 0 ? twin.image : element("a", { href: addressOf(there) }, [twin.image]);
    const labels = twin.dice === null ? "" : `; their labels contradict each other: Dice ${three(twin.dice)}`;
    return element("p", {}, ["Near-duplicate: ", name, `, similarity ${three(twin.similarity)}${labels}`]);
  });
}

function drawOverlay() {
  if (!find("overlay")) return;
  find("overlay").setAttribute("opacity", Number(find("opacity").value) / 100);
  for (const kind of ["truth", "mask"]) {
    find("viewer-picture").querySelector(`.outline.${kind}`).style.display = find(`show-${kind}`).checked ? "" : "none";
  }
  const [brightness, contrast] = ["brightness", "contrast"].map((id) => Number(find(id).value) / 100);
  const light = { slope: brightness * contrast, intercept: (brightness * (1 - contrast)) / 2 };
  for (const channel of find("light").firstChild.children) for (const [name, value] of Object.entries(light)) channel.setAttribute(name, value);
}

function turn(step) {
  const place = state.rows.indexOf(state.at);
  for (let k = place + step; k >= 0 && k < state.rows.length; k += step) {
    if (document.forms.filters.view.value === "table" || pictured(live.rows.image[state.rows[k]])) { turnTo(state.rows[k]); return; }
  }
}

// The drawing as a file of its own: with the colours that the page's styles give.
function viewerDrawing() {
  const box = find("viewer-picture").firstChild.cloneNode(true);
  const seen = all(".outline", find("viewer-picture"));
  all(".outline", box).forEach((path, k) => {
    const style = getComputedStyle(seen[k]);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "display"]) path.style.setProperty(name, style.getPropertyValue(name));
    path.style.setProperty("vector-effect", "none");
  });
  const [, , width, height] = box.getAttribute("viewBox").split(" ");
  return new XMLSerializer().serializeToString(filled(box, { xmlns: SVG, width, height }, []));
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom and history
  const slider = event.target.type === "range";
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: 0, ArrowDown: 0 }[event.key];
  if (step !== undefined && slider) return;
  if (step !== undefined && event.shiftKey) pan(...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]);
  else if (step) turn(step);
  else if (["+", "=", "-", "0"].includes(event.key)) ({ "-": () => zoom(1 / STEP), 0: zoomOut }[event.key] || (() => zoom(STEP)))();
  else return;
  event.preventDefault();
}

function resetLight() {
  for (const id of ["brightness", "contrast"]) find(id).value = 100;
  zoomOut();
  drawOverlay();
}

function startViewer() {
  const viewer = find("viewer");
  find("previous").addEventListener("click", () => turn(-1));
  find("next").addEventListener("click", () => turn(1));
  find("close").addEventListener("click", () => viewer.close());
  find("zoom-in").addEventListener("click", () => zoom(STEP));
  find("zoom-out").addEventListener("click", () => zoom(1 / STEP));
  find("as-it-was").addEventListener("click", resetLight);
  viewer.addEventListener("click", (event) => { if (event.target === viewer) viewer.close(); });
  viewer.addEventListener("close", leaveImage);
  viewer.addEventListener("keydown", onKey);
  for (const id of ["opacity", "show-truth", "show-mask", "brightness", "contrast"]) find(id).addEventListener("input", drawOverlay);
  const links = ["svg", "png"].map((ending) => link(ending.toUpperCase(), "this image", () => saveDrawing(nameOf(state.at), ending, viewerDrawing())));
  find("viewer-take").append(offer(links));
}
