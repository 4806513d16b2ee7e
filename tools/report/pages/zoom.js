// --- the large image nearer: by wheel, by two fingers, by keys; dragged or panned by keys

const STEP = 1.25;
const NEAREST = 16;
const fingers = new Map(); // the pointers that are down: where each was last

const canvasOf = () => find("viewer-picture").querySelector("svg");
const seenOf = (box) => box.getAttribute("viewBox").split(" ").map(Number);

function wholeOf(box) {
  const frame = box.querySelector("image");
  return ["width", "height"].map((name) => Number(frame.getAttribute(name)));
}

// Shows width x height of the image, as far as possible from (x, y) on, never beside the image.
function look(box, x, y, width) {
  const [full, high] = wholeOf(box);
  const height = (high * width) / full;
  const inside = (from, size, whole) => Math.max(0, Math.min(from, whole - size));
  box.setAttribute("viewBox", [inside(x, width, full), inside(y, height, high), width, height].join(" "));
  box.classList.toggle("near", width < full);
}

function zoomOut() {
  const box = canvasOf();
  if (box) look(box, 0, 0, wholeOf(box)[0]);
}

// A place of the window in pixels of the image.
function placeIn(box, at) {
  const place = new DOMPoint(at.clientX, at.clientY).matrixTransform(box.getScreenCTM().inverse());
  return [place.x, place.y];
}

// By a factor, about a place of the image that stays where it is; else about the middle.
function zoom(factor, about = null) {
  const box = canvasOf();
  if (!box) return;
  const [x, y, width, height] = seenOf(box);
  const [full] = wholeOf(box);
  const next = Math.max(full / NEAREST, Math.min(full, width / factor));
  const [px, py] = about || [x + width / 2, y + height / 2];
  look(box, px - ((px - x) * next) / width, py - ((py - y) * next) / width, next);
}

// By tenths of what is seen.
function pan(right, down) {
  const box = canvasOf();
  if (!box) return;
  const [x, y, width, height] = seenOf(box);
  look(box, x + (right * width) / 10, y + (down * height) / 10, width);
}

const apart = () => { const [a, b] = [...fingers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
const between = () => { const [a, b] = [...fingers.values()]; return { clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2 }; };

function drag(event) {
  const box = canvasOf();
  if (!box || !fingers.has(event.pointerId)) return;
  const before = fingers.size === 2 ? apart() : 0;
  const [fromX, fromY] = placeIn(box, fingers.get(event.pointerId));
  fingers.set(event.pointerId, event);
  if (fingers.size === 2) { zoom(apart() / Math.max(before, 1), placeIn(box, between())); return; }
  const [toX, toY] = placeIn(box, event);
  const [x, y, width] = seenOf(box);
  look(box, x + fromX - toX, y + fromY - toY, width);
}

function startZoom() {
  const place = find("viewer-picture");
  place.addEventListener("wheel", (event) => {
    const box = canvasOf();
    if (!box) return;
    event.preventDefault();
    zoom(STEP ** Math.max(-2, Math.min(2, -event.deltaY / 100)), placeIn(box, event)); // a notch is 100
  }, { passive: false });
  place.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event);
    place.setPointerCapture(event.pointerId);
  });
  place.addEventListener("pointermove", drag);
  for (const end of ["pointerup", "pointercancel"]) place.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
