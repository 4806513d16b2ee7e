"""The section on readers: what the template is given, and its charts."""

from typing import Any

import altair as alt
import pandas as pd

from lib.decision.results import Results
from lib.metric import Metric
from lib.readers.text import between_text, pair_name, unit_of
from tools.page.vega import BLUE, GREY, Plot, plot_of, tooltips

LINES = {"mean": [1, 0], "low": [6, 4], "high": [6, 4]}  # and their dashes


def readers_section(results: Results) -> dict[str, Any] | None:
    """Of pages/readers.html: a table of pairs and the answers, class by class; None without any."""
    found = results.decision.get("readers")
    if found is None:
        return None
    parts = found.get("by_class") or {"": found["all"]}
    some = any(part["presence"]["neither"] for part in parts.values())
    return found | {
        "unit": unit_of(found),
        "parts": [{"title": title, **_part(part, found, some)} for title, part in parts.items()],
        "some_unmarked": some,
        "plots": [name for name, *_ in _plotted(results)],
    }


def _part(part: dict[str, Any], found: dict[str, Any], some: bool) -> dict[str, Any]:
    rows = [{"name": pair_name(pair), "cells": _cells(pair, found, some)} for pair in part["pairs"]]
    return part | {"rows": rows}


def _cells(pair: dict[str, Any], found: dict[str, Any], some_unmarked: bool) -> list[str]:
    """In the order of the columns of pages/readers.html."""
    both, cells = pair["neither_empty"], []
    for key in ("iou", "dice"):
        mean, between = pair["all"][key]["mean"], pair["all"][key]["interval"]
        cells += [_number(mean, 3), between_text(between, 3) if between else "–"]
    if some_unmarked:
        cells.append(_number(pair["marked"][Metric(found["metric"]).column]["mean"], 3))
    for key, digits in (("hd95", 1), ("assd", 1), ("nsd", 3)):
        cells.append(_number(both[key]["mean"] if key in both else None, digits))
    return [*cells, str(pair["only_mask"] + pair["only_against"])]


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def readers_plots(results: Results) -> list[Plot]:
    """Bland and Altman's plot of each pair of whole masks; all of them with one scale."""
    plotted = _plotted(results)
    most = max((reach(limits, points) for _, limits, points in plotted), default=0.0)
    return [_bland_altman(*one, most) for one in plotted]


def reach(limits: dict[str, Any], points: pd.DataFrame) -> float:
    """The largest value of a plot, up or down."""
    ends = _lines(limits, 0)[["value", "low", "high"]].astype(float).abs().max()
    return float(max(points["difference"].abs().max(), *ends.dropna()))


def _plotted(results: Results) -> list[tuple[str, dict[str, Any], pd.DataFrame]]:
    """Name, limits and points of each plot: mm² where every spacing is known, else pixels."""
    found, rows = results.decision.get("readers"), results.readers
    if found is None or rows is None:
        return []
    classes = {name: rows[rows["class_id"] == name] for name in found.get("by_class", {})}
    parts = [(name, found["by_class"][name], own) for name, own in classes.items()]
    told = [
        (name, areas, own)
        for name, part, own in parts or [("", found["all"], rows)]
        for areas in part["areas"]
        if areas["pixels"] is not None
    ]
    return [(f"readers_area_{k}", *_areas(*one)) for k, one in enumerate(told, start=1)]


def _areas(
    name: str, areas: dict[str, Any], rows: pd.DataFrame
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Limits, unit and pair; columns image, mean, difference, where neither mask is empty."""
    own = (rows["mask"] == areas["mask"]) & (rows["against"] == areas["against"])
    both = rows[own & (rows["area"] > 0) & (rows["against_area"] > 0)]
    in_mm = areas["mm2"] is not None
    difference = both["area_error_mm2" if in_mm else "area_error"]
    size = (both["area"] + both["against_area"]) / 2 * (both["pixel_mm2"] if in_mm else 1)
    points = {"image": both["image"], "mean": size.round(2), "difference": difference.round(2)}
    pair = f"{areas['mask']} less {areas['against']}{f', {name}' if name else ''}"
    limits = areas["mm2" if in_mm else "pixels"]
    return limits | {"pair": pair, "unit": "mm²" if in_mm else "pixels"}, pd.DataFrame(points)


def _bland_altman(name: str, limits: dict[str, Any], points: pd.DataFrame, most: float) -> Plot:
    """A point a mask; lines at the mean difference and the limits, their intervals at the right."""
    unit, pair = limits["unit"], limits["pair"]
    lines = _lines(limits, float(points["mean"].max()))
    scale = alt.Scale(domain=[-most, most])
    dots = alt.Chart(points).mark_point(filled=True, size=22, opacity=0.45, color=BLUE)
    dots = dots.encode(
        x=alt.X("mean:Q", title=f"mean of both areas, {unit}", scale=alt.Scale(zero=False)),
        y=alt.Y("difference:Q", title=f"difference, {unit}", scale=scale),
        tooltip=tooltips(points),
    )
    rules = [
        alt.Chart(lines[lines["line"] == line])
        .mark_rule(color=GREY, strokeWidth=2, strokeDash=dash)
        .encode(y="value:Q", tooltip=tooltips(lines.drop(columns="at")))
        for line, dash in LINES.items()
    ]
    ends = alt.Chart(lines).mark_rule(color=GREY, strokeWidth=4)
    ends = ends.encode(x="at:Q", y="low:Q", y2="high:Q")
    chart = alt.layer(dots, *rules, ends).properties(height=240)
    about = (
        f"Areas of {len(points)} masks, {pair}: the difference by the mean of both. Lines: the "
        "mean difference, and dashed the limits of agreement; bars at the right: their 95 % "
        "intervals over subjects."
    )
    return plot_of(name, f"Area, {pair}", about, chart, lines.drop(columns="at"))


def _lines(limits: dict[str, Any], right: float) -> pd.DataFrame:
    """Columns line, value, low, high (its interval), at: a row for each of LINES."""
    rows = []
    for line in LINES:
        low, high = limits[f"{line}_interval"] or (None, None)
        rows.append({"line": line, "value": limits[line], "low": low, "high": high})
    return pd.DataFrame(rows).assign(at=right)
