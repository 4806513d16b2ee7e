drawPage(async () => {});
