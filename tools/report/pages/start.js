// --- start

drawPage(async () => {
  startImages();
  startViewer();
  startZoom();
  startAddress();
  await startExplorer();
  Object.assign(report, { score: (rule, clean) => score(explorer, rule, clean), rows: () => state.rows.map((i) => live.rows.image[i]), chooseClass });
  window.report = report;
});
