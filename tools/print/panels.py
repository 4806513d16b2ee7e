"""Frames with their outlines -> one figure: pictures as they are, outlines and letters as lines."""

import base64
from collections.abc import Sequence
from xml.sax.saxutils import escape

import cv2

from lib.data.pictures.arrays import Grey
from lib.decision.rule import Mask
from tools.print.examples import Frame
from tools.print.figures import FONT, POINTS_A_MM, Drawing
from tools.report.pictures import outline, shrunk

ACROSS = {85: 2, 174: 3}  # panels beside each other, by the width of the figure in mm
GAP, LINE, TEXT = 8.0, 9.5, 7.5  # points: between panels, of a line of text, of its letters
LETTER = 0.52 * TEXT  # points: the width of a letter, as they are on average
LONG_SIDE = 1000  # pixels of a picture: 450 an inch in the wide figure
INK = 0.9  # points: the width of an outline
# Both are light on a dark rim, to be seen on black and on white; dashes tell them apart.
TRUE, PREDICTED = ("#8fd3ff", ""), ("#ffc14d", "4 2.4")


def figure_of(frames: dict[str, list[Frame]], marks: Sequence[str], mm: int) -> Drawing:
    """A block of panels a class, below a line that tells which outline is which."""
    width = mm * POINTS_A_MM
    parts, y = [_legend(marks, width)], 2 * LINE
    for name, of_class in frames.items():
        if len(frames) > 1:
            y += LINE
            parts.append(_text(_plain(name, width), 0, y - 2, 'font-weight="bold"'))
        block, y = _block(of_class, width, ACROSS[mm], y)
        parts.append(block)
    y -= GAP
    paper = f'<rect width="{width:.2f}" height="{y:.2f}" fill="white"/>'
    letters = f'<g font-family="{FONT}" font-size="{TEXT}">{"".join(parts)}</g>'
    return Drawing(paper + letters, width, y, mm)


def _block(frames: list[Frame], width: float, across: int, y: float) -> tuple[str, float]:
    """Rows of panels from `y` on; and where the next thing may stand."""
    wide, parts = (width - GAP * (across - 1)) / across, []
    for at in range(0, len(frames), across):
        row = frames[at : at + across]
        parts += [_panel(one, k * (wide + GAP), y, wide) for k, one in enumerate(row)]
        y += 2 * LINE + max(wide * one.grey.shape[0] / one.grey.shape[1] for one in row) + GAP
    return "".join(parts), y


def _panel(frame: Frame, x: float, y: float, wide: float) -> str:
    """Two lines of text, the picture, both outlines."""
    what, row = frame.example
    told = f"IoU {row['iou']:.3f}, Dice {row['dice']:.3f}"
    if not row["area"]:
        told += ", no mask"
    height, columns = frame.grey.shape
    scale = wide / columns
    picture = f'<image width="{columns}" height="{height}" xlink:href="{_embedded(frame.grey)}"/>'
    lines = _rim(frame.truth, scale) + _rim(frame.mask, scale)
    lines += _line(frame.truth, *TRUE, scale) + _line(frame.mask, *PREDICTED, scale)
    return (
        _text(_plain(f"{what}: {row['image']}", wide), x, y + LINE - 2)
        + _text(told, x, y + 2 * LINE - 2)
        + f'<g transform="translate({x:.2f} {y + 2 * LINE:.2f}) scale({scale:.5f})">'
        + f"{picture}{lines}</g>"
    )


def _rim(mask: Mask, scale: float) -> str:
    return _outline(mask, f'stroke="black" stroke-width="{2.2 * INK / scale:.2f}" opacity=".6"')


def _line(mask: Mask, colour: str, dashes: str, scale: float) -> str:
    dash = " ".join(f"{float(length) / scale:.2f}" for length in dashes.split())
    more = f' stroke-dasharray="{dash}"' if dash else ""
    return _outline(mask, f'stroke="{colour}" stroke-width="{INK / scale:.2f}"{more}')


def _outline(mask: Mask, stroke: str) -> str:
    """Of the middles of the outermost pixels; "" where the mask is empty."""
    path = outline(mask)
    moved = 'transform="translate(.5 .5)"'
    return f'<path {moved} d="{path}" fill="none" {stroke}/>' if path else ""


def _legend(marks: Sequence[str], width: float) -> str:
    """Both kinds of line on a dark ground, as on a picture."""
    parts, x = [], 0.0
    for words, (colour, dashes) in (("true outline", TRUE), ("predicted", PREDICTED)):
        dash = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts.append(f'<rect x="{x}" y="1" width="26" height="{TEXT}" fill="#222"/>')
        line = f'<path d="M{x + 2} {1 + TEXT / 2}h22" stroke="{colour}"'
        parts.append(f'{line} stroke-width="{1.3 * INK}"{dash}/>')
        parts.append(_text(words, x + 29, TEXT))
        x += 84
    bold = 'text-anchor="end" font-weight="bold"'
    return "".join(parts) + _text(", ".join(marks), width, TEXT, bold)


def _text(words: str, x: float, y: float, more: str = "") -> str:
    return f'<text x="{x:.2f}" y="{y:.2f}" {more}>{escape(words)}</text>'


def _plain(words: str, width: float) -> str:
    """In letters that a drawing can hold, and not longer than the place; the end is kept."""
    words = "".join(letter if letter.isprintable() else "?" for letter in words)
    most = max(8, int(width / LETTER))
    return words if len(words) <= most else f"{words[: most // 2 - 1]}…{words[-(most // 2) :]}"


def _embedded(grey: Grey) -> str:
    """Without loss, but for pictures that are larger than print can show."""
    _, content = cv2.imencode(".png", shrunk(grey, LONG_SIDE))
    return f"data:image/png;base64,{base64.b64encode(content.tobytes()).decode()}"
