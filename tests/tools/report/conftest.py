"""A browser for all tests of pages, and the pages that they look at, each made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lib.decision.results import results_of
from tests.conftest import chain, configured, step, write_competition
from tests.data.test_labels import two_classes_in_lists, write_images
from tests.decision.test_nested import config_of as config_of_maps
from tests.decision.test_nested import write_run
from tests.decision.test_search import made_up
from tests.steps.test_whole_runs import config_of
from tests.tools.compare.test_several import three_runs, trained
from tests.tools.report.browser import Browser
from tests.tools.report.pages import Page, predict_by_hand, write_twins
from tests.tools.report.test_report import made_run
from tools.compare.page import write_page
from tools.compare.several import side_by_side
from tools.report.page import write_report


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="session")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of 24 images, whose predictions are right, missed, or of what is not there."""
    folder = tmp_path_factory.mktemp("page")
    data = write_competition(folder / "data")
    settings = [f"data={data}", f"runs_folder={folder / 'runs'}", "tune_decision=false"]
    config = configured(settings, "n_folds=2", "folds=[0, 1]")
    step(1).main(config)
    write_twins(config)
    predict_by_hand(config)
    results = results_of(config)
    return Page(browser, results, write_report(results))


@pytest.fixture(scope="session")
def scored(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of 96 made-up maps that a rule has something to choose on."""
    config = made_run(tmp_path_factory.mktemp("scored"), images=96)
    results = results_of(config)
    return Page(browser, results, write_report(results))


@pytest.fixture(scope="session")
def speckled(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of 48 made-up maps with a speck in a corner, which the rule learns to drop."""
    config = config_of_maps(tmp_path_factory.mktemp("speckled"))
    maps, truths, presence = made_up(48)
    for probability in maps:
        probability[:4, :4] = 220
    write_run(config, maps, truths, presence)
    results = results_of(config)
    return Page(browser, results, write_report(results))


@pytest.fixture(scope="session")
def two_classes(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Page:
    """Of twelve masks of two classes, by the four scripts."""
    folder = tmp_path_factory.mktemp("two_classes")
    data = write_images(folder / "two")
    two_classes_in_lists(as_text=False).to_parquet(data / "train.pq")
    config = config_of(data, folder / "runs")
    path = chain(config) / "report.html"
    return Page(browser, results_of(config), path)


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """compare.html of three runs."""
    runs = three_runs(tmp_path_factory.mktemp("compared"))
    for run, seconds in zip(runs, (10.0, 60.0, 10.0), strict=True):
        trained(run, seconds)
    return write_page(side_by_side(runs), runs[0].parent / "compare.html")


@pytest.fixture
def opened(request: pytest.FixtureRequest, browser: Browser) -> Browser:
    """The browser, with the page open whose fixture a test names as its parameter."""
    found = request.getfixturevalue(request.param)
    browser.open(found if isinstance(found, Path) else found.path)
    return browser
