// --- definitions: without this the browser opens them in the middle of the window

let pressed = null; // the word that was clicked, touched or chosen by a key

function placeBeside(meaning, word) {
  const at = word.getBoundingClientRect();
  const below = at.bottom + meaning.offsetHeight + 12 < innerHeight;
  const left = Math.max(8, Math.min(at.left, document.documentElement.clientWidth - meaning.offsetWidth - 8));
  meaning.style.left = `${left + scrollX}px`;
  meaning.style.top = `${scrollY + (below ? at.bottom + 6 : at.top - meaning.offsetHeight - 6)}px`;
}

document.addEventListener("click", (event) => { pressed = event.target.closest("[popovertarget]") || pressed; }, true);
document.addEventListener("toggle", (event) => {
  if (event.newState === "open" && event.target.matches(".meaning")) placeBeside(event.target, pressed);
}, true);
