// --- the image in the address: report.html#image=12_1, with &class= where there are several

// How many steps back the page without an image is: what closing has to take back.
const depth = () => (history.state && history.state.depth) || 0;

function addressOf(i) {
  const parts = { image: live.rows.image[i], ...(live.several ? { class: live.rows.class_id[i] } : {}) };
  return `#${Object.entries(parts).map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}`;
}

// The row that the address names; -1 where it names none, or one that is not there.
function named() {
  const parts = new URLSearchParams(location.hash.slice(1).replaceAll("+", "%2B"));
  const [image, kind] = [parts.get("image"), parts.get("class")];
  return live.rows.image.findIndex((name, i) => name === image && (kind === null || live.rows.class_id[i] === kind));
}

function openImage(i) {
  history.pushState({ depth: depth() + 1 }, "", addressOf(i));
  follow();
}

// Arrow keys change the address in place: the back button leads to the page, not through them all.
function turnTo(i) {
  history.replaceState(history.state, "", addressOf(i));
  follow();
}

function follow() {
  leaving = false;
  const i = named();
  if (i >= 0) showImage(i);
  else if (find("viewer").open) find("viewer").close();
}

let leaving = false; // from the call of history.go until it is done

// The browser tells of a closed window a little later: by then another image may be open, or it tells of two.
function leaveImage() {
  if (leaving || find("viewer").open || named() < 0) return;
  leaving = depth() > 0;
  if (leaving) history.go(-depth());
  else history.replaceState(null, "", location.pathname + location.search);
}

function startAddress() {
  addEventListener("popstate", follow);
  find("viewer-twins").addEventListener("click", (event) => {
    if (event.target.tagName !== "A") return;
    event.preventDefault();
    history.pushState({ depth: depth() + 1 }, "", event.target.getAttribute("href"));
    follow();
  });
  follow();
}
