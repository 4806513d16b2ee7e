"""Pictures of a training: fold{k}/first_batch.png and fold{k}/curves.png.

The same input gives the same bytes. Figures are made without pyplot, which keeps each one alive.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from torch import Tensor

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import written_whole
from tools.report.hydrogen_torch import REFERENCE_NAME, reference_run

Plane = npt.NDArray[np.float32]

# Okabe and Ito's colours, which people of any colour vision tell apart (jfly.uni-koeln.de/color).
BLUE, ORANGE, GREEN, RED, PINK, SKY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
)
ON_GREY = [ORANGE, SKY, PINK, GREEN]  # outlines, one a class
COLOURS = {"validation_loss": BLUE, "train_loss": ORANGE, "learning_rate": "black"}
MEASURES = {"iou": BLUE, "dice": RED, "auc": GREEN}
WORDS = {"validation": "", "iou": "IoU", "dice": "Dice", "auc": "AUC", "nerve": "with a mask"}
LOOKS = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "font.size": 9,
    "grid.color": "#E0E0E0",
    "legend.frameon": False,
    "savefig.dpi": 110,
    "text.parse_math": False,  # an image's name may hold dollars
}

IMAGES_DRAWN = 16
CHARACTERS = 14  # of a name, in an inch
# Inches: the longer side of an image and what is around it, a panel of curves, margins.
PANEL, GAP, LINE = 2.2, 0.08, 0.28
CURVES, LEGEND = (4.2, 1.7), 3.3
LEFT, ABOVE, BELOW = 0.75, 0.6, 0.5


def save_first_batch(
    config: Config,
    fold: int,
    names: Sequence[str],
    images: Tensor,
    masks: Tensor,
    classes: list[str],
) -> Path:
    """The path of a picture: a batch's first images as the network gets them, masks in outline.

    Images (n, channels, height, width) 0..255, of which the first channel is drawn, and masks (n,
    classes, height, width) 0..1; uint8, or float after mixing; on any device. A label's share in a
    mixture is the strength of its outline.
    """
    grey, layers = (part[:IMAGES_DRAWN].float().cpu().numpy() for part in (images[:, 0], masks))
    path = Run.of(config).first_batch(fold)
    with _saved(path) as figure:
        places = _places(figure, len(grey), grey[0].shape, legend=len(classes) > 1)
        for axes, name, image, mask in zip(places, names, grey, layers, strict=False):
            _draw_image(axes, name, image, mask)
        of_all = f": {len(grey)} of {len(images)} images" if len(images) > len(grey) else ""
        _entitle(figure, f"fold {fold}, first training batch{of_all}")
        if len(classes) > 1:
            lines = [Line2D([], [], color=_of_class(number)) for number in range(len(classes))]
            figure.legend(lines, classes, loc="lower left", ncols=4)
    return path


def save_curves(config: Config, fold: int) -> Path:
    """The path of fold{k}/curves.png: losses, scores and learning rate of fold{k}/log.csv."""
    log = pd.read_csv(Run.of(config).log(fold))
    reference = _reference(log, config)
    panels = _panels(log, not reference.empty)
    path = Run.of(config).fold(fold) / "curves.png"
    with _saved(path) as figure:
        places = _stacked(figure, len(panels))
        _entitle(figure, f"{config.experiment_name}, fold {fold}")
        for axes, panel in zip(places, panels, strict=True):
            for column in panel.columns:
                _draw_column(axes, column, log)
            for column in filter(reference.__contains__, panel.columns):
                _draw_reference(axes, column, reference)
            _finish(axes, panel)
    return path


@contextmanager
def _saved(path: Path) -> Iterator[Figure]:
    """An empty figure, written to the path as PNG when it is drawn."""
    with matplotlib.style.context(["default", LOOKS]):  # whatever a person's matplotlibrc says
        figure = Figure()
        yield figure
        with written_whole(path) as file:
            fast = {"compress_level": 3}  # speckle hardly gets smaller with more
            figure.savefig(file, format="png", metadata={"Software": None}, pil_kwargs=fast)


def _entitle(figure: Figure, title: str) -> None:
    height = figure.get_size_inches()[1]
    figure.suptitle(title, x=0.1 / figure.get_size_inches()[0], y=1 - 0.08 / height, ha="left")


def _places(figure: Figure, images: int, shape: tuple[int, ...], legend: bool) -> list[Axes]:
    """A place for each image of (height, width), a line for its name below it."""
    columns = math.ceil(math.sqrt(images))
    rows = math.ceil(images / columns)
    down, along = (PANEL * length / max(shape) for length in shape)
    size = (
        max(columns * (along + GAP) + GAP, 4.2),
        rows * (down + LINE) + ABOVE - LINE + legend * LINE,
    )
    figure.set_size_inches(size)
    places = []
    for number in range(images):
        row, column = divmod(number, columns)
        left, top = GAP + column * (along + GAP), ABOVE - LINE + row * (down + LINE)
        place = figure.add_axes(_rectangle(size, left, top, along, down))
        place.set_axis_off()
        places.append(place)
    return places


def _rectangle(
    size: tuple[float, float], left: float, top: float, along: float, down: float
) -> tuple[float, float, float, float]:
    """Inches from the upper left corner, as matplotlib's parts of the size from the lower left."""
    width, height = size
    return left / width, 1 - (top + down) / height, along / width, down / height


def _draw_image(axes: Axes, name: str, image: Plane, masks: Plane) -> None:
    """Image (height, width), masks (classes, height, width)."""
    axes.imshow(image.round().astype(np.uint8), cmap="gray", vmin=0, vmax=255)
    for number, mask in enumerate(masks):
        _draw_outlines(axes, mask, _of_class(number))
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    room = max(int(CHARACTERS * PANEL * image.shape[1] / max(image.shape)), 8)
    short = name if len(name) <= room else f"…{name[1 - room :]}"
    axes.annotate(short, (0, 0), (0, -3), "axes fraction", "offset points", size=8, va="top")


def _draw_outlines(axes: Axes, mask: Plane, colour: str) -> None:
    """Around the pixels of each value that the mask holds; an empty frame closes those at edges."""
    shares = mask.round(1)
    rows, columns = (np.flatnonzero(shares.any(axis)) for axis in (1, 0))
    if not len(rows):
        return
    down, across = (np.arange(held[0] - 1, held[-1] + 2) for held in (rows, columns))
    framed = np.pad(shares, 1)[down[0] + 1 : down[-1] + 2, across[0] + 1 : across[-1] + 2]
    values = np.unique(framed)
    between = (values[:-1] + values[1:]) / 2
    alpha, width = values[1:].tolist(), 1.2
    axes.contour(across, down, framed, between, colors=colour, alpha=alpha, linewidths=width)


def _of_class(number: int) -> str:
    return ON_GREY[number % len(ON_GREY)]


class Panel(NamedTuple):
    title: str
    columns: list[str]


def _reference(log: pd.DataFrame, config: Config) -> pd.DataFrame:
    """The reference run where it is comparable, else nothing.

    Its images have a mask each, which these have where both kinds of scores are the same.
    """
    pair = ["validation_iou", "validation_iou_nerve"]
    if not (set(pair) <= set(log) and log[pair[0]].equals(log[pair[1]])):
        return pd.DataFrame()
    return reference_run(config).rename(columns={pair[1]: pair[0]})


def _panels(log: pd.DataFrame, each_has_a_mask: bool) -> list[Panel]:
    """What stands beside what. Left out are columns without a number, and scores shown twice."""
    columns = [name for name in log if log[name].notna().any()]
    if each_has_a_mask:
        columns = [name for name in columns if not name.endswith("_nerve")]
    rate = [name for name in columns if name == "learning_rate"]
    losses = [name for name in columns if name.endswith("loss")]
    scores = [name for name in columns if name not in ("epoch", *rate, *losses)]
    panels = Panel("loss", losses), Panel("score", scores), Panel("learning rate", rate)
    return [panel for panel in panels if panel.columns]


def _stacked(figure: Figure, panels: int) -> list[Axes]:
    """Places one below the other, with room for legends on the right and one axis of epochs."""
    along, down = CURVES
    size = (LEFT + along + LEGEND, ABOVE + panels * (down + LINE) + BELOW - LINE)
    figure.set_size_inches(size)
    places: list[Axes] = []
    for number in range(panels):
        place = _rectangle(size, LEFT, ABOVE + number * (down + LINE), along, down)
        places.append(figure.add_axes(place, sharex=places[0] if places else None))
        places[-1].tick_params(labelbottom=number == panels - 1)
    places[-1].set_xlabel("epoch")
    return places


def _draw_column(axes: Axes, column: str, log: pd.DataFrame) -> None:
    """A line, and dots where they are few."""
    colour = _colour(column)
    style = ":" if column.startswith("train_") and not column.endswith("loss") else "-"
    style = "--" if column.endswith("_nerve") else style
    dots = "o" if len(log) <= 20 else ""
    x, y, label = log["epoch"], log[column], _words(column)
    axes.plot(x, y, style, color=colour, label=label, marker=dots, markersize=3, linewidth=1.6)


def _draw_reference(axes: Axes, column: str, reference: pd.DataFrame) -> None:
    x, y, label = reference["epoch"], reference[column], f"{_words(column)} of {REFERENCE_NAME}"
    axes.plot(x, y, "--", color="#808080", linewidth=1, label=label)


def _finish(axes: Axes, panel: Panel) -> None:
    axes.set_title(panel.title)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlim(left=0)
    low, high = axes.get_ylim()
    if panel.title == "score":
        axes.set_ylim(max(low, -0.02), min(high, 1.02))
    else:
        axes.set_ylim(-0.03 * high, high)
    if panel.title != "learning rate":
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), borderaxespad=0)


def _colour(column: str) -> str:
    measure = next((colour for name, colour in MEASURES.items() if f"_{name}" in column), PINK)
    return COLOURS.get(column, measure)


def _words(column: str) -> str:
    """validation_iou_nerve -> IoU with a mask"""
    if column.endswith("loss"):
        return column.replace("_loss", "")
    return " ".join(filter(None, (WORDS.get(word, word) for word in column.split("_"))))
