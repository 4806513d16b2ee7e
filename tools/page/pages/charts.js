"use strict";
const live = JSON.parse(document.getElementById("live").textContent);
const views = {}; // by the name of the chart

const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;

async function drawPlots() {
  if (!window.vegaEmbed) return; // made without vl-convert
  const places = [...document.querySelectorAll("[data-chart]")];
  await Promise.all(places.map(async (place) => {
    const options = { renderer: "svg", actions: false, tooltip: { theme: dark() ? "dark" : "light" } };
    const specification = JSON.parse(JSON.stringify(live.charts[place.dataset.chart]));
    views[place.dataset.chart] = (await vegaEmbed(place, specification, options)).view;
  }));
}
