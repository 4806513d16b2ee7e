"""The results of a run -> runs/x/print/, for who writes a paper about it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.artifacts.caveats import marks
from lib.artifacts.run import Run
from lib.decision.results import Results
from lib.runtime.files import save_table, written_whole
from lib.runtime.progress import progress
from tools.print.examples import frames_of
from tools.print.figures import WIDTHS, pdf_of, save_drawing, save_plot
from tools.print.panels import figure_of
from tools.print.tables import save_tables, tables_of
from tools.print.texts import texts_of
from tools.report.plots import plots_of
from tools.report.tables import subjects_table

EXAMPLES = (
    "- `examples`: Frames with their true and predicted outlines: the worst, the quartiles, the "
    "median and the best of those that show the structure, by the metric of the run, and the "
    "largest mask where there is none. Of equal scores the name of the image decides."
)


def write_print(results: Results) -> Path:
    """Writes all of it; returns the folder."""
    folder = Run.of(results.config).folder / "print"
    found = marks(results.decision["caveats"])
    texts, sources = texts_of(results)
    save_texts(texts, folder)
    save_table(folder / "sources.csv", sources)
    save_tables(tables_of(results, found), folder / "tables")
    save_figures(results, found, folder / "figures")
    save_examples(results, found, folder)
    return folder


def save_texts(texts: Mapping[str, str], folder: Path) -> None:
    for name, text in texts.items():
        with written_whole(folder / name) as file:
            file.write(text.encode())


def save_figures(results: Results, found: Sequence[str], folder: Path) -> None:
    """Every chart of the page, and a caption for each in captions.md."""
    plots = list(plots_of(results, subjects_table(results)).values())
    lines = [f"- `{plot.name}`: {plot.title}. {plot.about}".replace("?.", "?") for plot in plots]
    end = "".join(f" {mark}." for mark in found)
    text = "# Captions\n\n" + "\n".join(line + end for line in [*lines, EXAMPLES]) + "\n"
    save_texts({"captions.md": text}, folder)
    for plot in progress(plots, "figures", len(plots), "figures"):
        save_plot(plot, found, folder)


def save_examples(results: Results, found: Sequence[str], folder: Path) -> None:
    """The figure of examples at both widths, and figure_examples.pdf; none without a picture."""
    frames = frames_of(results)
    if not frames:
        print("no figure_examples.pdf: the pictures have changed, are gone, or show nothing")
        return
    for mm in WIDTHS:
        drawing = figure_of(frames, found, mm)
        save_drawing(drawing, folder / "figures" / f"examples_{mm}mm")
    with written_whole(folder / "figure_examples.pdf") as file:
        file.write(pdf_of(drawing))
