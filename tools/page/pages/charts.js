// --- charts: those in the window at once, the others while nothing else is to be done

const views = {}; // by the name of the chart
const dark = matchMedia("(prefers-color-scheme: dark)");
const idle = () => new Promise((done) => (window.requestIdleCallback ? requestIdleCallback(done) : setTimeout(done)));

async function drawPlot(place) {
  const name = place.dataset.chart;
  const options = { renderer: "svg", actions: false, tooltip: { theme: dark.matches ? "dark" : "light" } };
  views[name] = (await vegaEmbed(place, structuredClone(live.charts[name]), options)).view;
  document.dispatchEvent(new CustomEvent("drawn", { detail: name }));
}

function inWindow(place) {
  const box = place.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
}

// Draws what the window shows, then calls `start`, which puts the controls to work, then draws the rest.
async function drawPage(start) {
  const places = window.vegaEmbed ? all("[data-chart]") : []; // none where it was made without vl-convert
  const near = places.filter(inWindow);
  await Promise.all([...near.map(drawPlot), start()]);
  performance.mark("ready");
  document.documentElement.dataset.ready = "yes";
  for (const place of places.filter((one) => !near.includes(one))) {
    await idle();
    await drawPlot(place);
  }
  performance.mark("drawn");
  document.documentElement.dataset.drawn = "yes";
}
