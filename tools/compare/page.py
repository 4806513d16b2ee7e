"""Several runs side by side -> compare.html, one self-contained page."""

from pathlib import Path

from lib.runtime.files import written_whole
from tools.compare.charts import plots_of
from tools.compare.several import GROUPS, SideBySide
from tools.compare.text import TOGETHER, chance, duration
from tools.page.template import environment, in_script
from tools.page.vega import for_page, script

PAGES = Path(__file__).parent / "pages"


def write_page(found: SideBySide, path: Path) -> Path:
    plots = plots_of(found)
    made = environment(PAGES, ["compare.js"])
    made.globals |= {"chance": chance, "duration": duration}
    text = made.get_template("compare.html").render(
        found=found,
        first=found.standings[0].name,
        groups=GROUPS,
        settings=list(dict.fromkeys(name for row in found.standings for name in row.settings)),
        together=TOGETHER,
        plots=plots,
        live={"charts": {name: for_page(plot.chart) for name, plot in plots.items()}},
        script=in_script(script(path.parent / ".cache")),
    )
    with written_whole(path) as file:
        file.write(text.encode())
    return path
