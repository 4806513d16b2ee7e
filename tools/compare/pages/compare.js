drawPlots().then(() => { document.documentElement.dataset.ready = "yes"; });
