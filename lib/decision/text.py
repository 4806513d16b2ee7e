"""Scores in words and tables that a person reads."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from lib.artifacts.caveats import beside_scores, sentence
from lib.config.fields import Config
from lib.decision.measures import IN_MM, IN_PIXELS, names_of
from lib.decision.rule import NEVER, Rule
from lib.decision.scores import score_in
from lib.metric import Metric, Score

WAYS = {
    "nested": "rule chosen without the images scored",
    "tuned": "rule chosen on these images: flatters",
    "fixed": "pixels above {threshold:g}, nothing chosen",
}


def told(
    scores: pd.DataFrame, decision: dict[str, Any], rules: Sequence[Rule], config: Config
) -> str:
    """All that 04 says of its scores; `rules` are one a class. The figures to quote come last."""
    names = decision["presence"]
    lines = [
        score_table(scores) + beside_scores(decision["caveats"]),
        comparison(decision, config),
        measures_table(decision["measures"]["all"], config, "class_id" in scores),
        trust_text(decision["quality"]),
        *(presence_text(name, found, config.metric) for name, found in names.items()),
        subjects_text(decision),
    ]
    if config.tune_decision and not decision["chosen_on_these_images"]:
        lines.append(
            "NOTHING CHOSEN: all images are one group, so no rule can be scored on others than "
            "those that chose it: masks are the pixels above probability_threshold"
        )
    lines += [rule_text(name, rule) for name, rule in zip(names, rules, strict=True)]
    lines += [headline(decision), *map(sentence, decision["caveats"])]
    return "\n".join(line for line in lines if line)


def score_table(scores: pd.DataFrame) -> str:
    """Per fold, class and over all: IoU and Dice, each beside the score of all-empty masks."""
    groups = [(str(fold), rows) for fold, rows in scores.groupby("fold")]
    if "class_id" in scores:
        groups += [(str(name), rows) for name, rows in scores.groupby("class_id")]
    groups.append(("all", scores))
    wide = max(len("fold"), *(len(name) for name, _ in groups))
    unit = " masks" if "class_id" in scores else "images"
    there = f"with a {'mask' if 'class_id' in scores else 'nerve'}"
    lines = [
        f"{'':{wide}}                  all images         |             {there}",
        f"{'fold':{wide}}   {unit}     IoU    Dice  all-empty | {unit}     IoU    Dice  all-empty",
    ]
    for name, rows in groups:
        nerve = rows[rows["true_area"] > 0]
        lines.append(f"{name:{wide}}   {_cells(rows)} | {_cells(nerve)}")
    return "\n".join(lines)


def _cells(rows: pd.DataFrame) -> str:
    if rows.empty:
        return f"{0:6}       -       -          -"
    empty = (rows["true_area"] == 0).mean()  # an empty mask scores 1 there and 0 elsewhere
    return f"{len(rows):6}  {rows['iou'].mean():.4f}  {rows['dice'].mean():.4f}     {empty:.4f}"


def ways_of(decision: dict[str, Any], threshold: float) -> dict[str, dict[str, Any]]:
    """The scores of each decision rule by what it is called; where nothing was chosen, of one."""
    ways = {"nested": decision["scores"]} | decision["other_scores"]
    if not decision["chosen_on_these_images"]:
        ways = {"fixed": ways["fixed"]}
    return {WAYS[name].format(threshold=threshold): way for name, way in ways.items()}


def comparison(decision: dict[str, Any], config: Config) -> str:
    """The headline metric of every way to decide, with intervals over subjects."""
    scores, metric = decision["scores"], Metric(decision["metric"])
    parts = [name for name in ("all", "with_nerve", "expected") if name in scores]
    heads = {
        "all": "all images",
        "with_nerve": "with a nerve",
        "expected": f"at {100 * config.test_positive_share:.0f} % with one",
    }
    wide = max(len(name) for name in WAYS.values()) + 2
    lines = [
        f"{decision['metric']}, and 95 % over subjects".ljust(wide)
        + "  ".join(f"{heads[part]:<19}" for part in parts)
    ]
    for words, way in ways_of(decision, config.probability_threshold).items():
        cells = [_cell(score_in(way[part], metric)) for part in parts]
        lines.append(words.ljust(wide) + "  ".join(cells))
    empty = [_number(scores[part]["all_empty"]).ljust(19) for part in parts]
    lines += ["all masks empty".ljust(wide) + "  ".join(empty)]
    lines += _ceiling(decision, wide, metric)
    if config.test_positive_share and "expected" not in scores:
        kind = "no image shows a nerve" if scores["all"]["all_empty"] else "all images show a nerve"
        lines.append(f"{kind}, so no score can be told for test_positive_share")
    return "\n".join(line.rstrip() for line in lines)


def measures_table(found: dict[str, Any], config: Config, several: bool) -> str:
    """What is told of masks besides; `found` is what `summarised` gives.

    In millimetres where the spacing of every image is known, else in pixels.
    """
    masks, every = ("masks" if several else "images"), found["every_mask"]
    in_mm = "hd95_mm" in every and every["hd95_mm"]["masks"] == found["masks"]
    keys = [IN_MM.get(key, key) if in_mm else key for key in IN_PIXELS]
    names = names_of(config)
    wide = max(len(names[key]) for key in keys) + 2
    empty = found["both_empty"], found["missed"], found["false_alarms"]
    heads = [f"all {found['masks']} {masks}", f"the {found['masks'] - sum(empty)} with both masks"]
    lines = [
        ("".ljust(wide) + " | ".join(f"{head:<34}" for head in heads)).rstrip(),
        "".ljust(wide) + " | ".join([f"{'mean':<9}{'95 %':<18}{'median':>7}"] * 2),
    ]
    for key in keys:
        cells = [_measure(found[of][key], key) for of in ("every_mask", "neither_empty")]
        lines.append((names[key].ljust(wide) + " | ".join(cells)).rstrip())
    lines.append(
        f"both masks empty: {empty[0]} {masks}, counted as perfect; missed: {empty[1]}, false "
        f"alarms: {empty[2]}, counted as the worst (0, or the diagonal)"
    )
    return "\n".join(lines)


def _measure(found: dict[str, Any], key: str) -> str:
    if found["mean"] is None:
        return f"{'-':<27}{'-':>7}"
    digits = digits_of(key)
    between = " to ".join(f"{end:.{digits}f}" for end in found["interval"] or ())
    return f"{found['mean']:<9.{digits}f}{between:<18}{found['median']:>7.{digits}f}"


def digits_of(key: str) -> int:
    """After the point, of a measure: shares have three, distances in pixels one."""
    if key.removesuffix("_mm") in ("precision", "sensitivity", "presence_specificity", "nsd"):
        return 3
    return 2 if "_mm" in key else 1


def _cell(score: Score) -> str:
    between = "" if score.low is None else f"{score.low:.3f} to {score.high:.3f}"
    return f"{_number(score.mean)}  {between:<12}".ljust(19)


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:.3f}"


def _ceiling(decision: dict[str, Any], wide: int, metric: Metric) -> list[str]:
    parts = [decision["label_noise_ceiling"][name] for name in ("all", "with_mask")]
    if not parts[0]["images"]:
        return []
    cells = [f"{_number(part[metric.column])}  of {part['images']}".ljust(19) for part in parts]
    return ["copying the label of the nearest twin".ljust(wide) + "  ".join(cells)]


def presence_text(name: str, found: dict[str, Any], metric: str) -> str:
    """One class: what tells that it is there, how often masks do, and whether the gate pays."""
    hits, misses = found["true_positives"], found["false_negatives"]
    alarms, rest = found["false_positives"], found["true_negatives"]
    auc = {
        key: f"{found[key]:.3f}" for key in ("auc", "auc_map", "auc_head") if found[key] is not None
    }
    told = f"AUC {auc['auc']}" if "auc" in auc else "AUC -"
    if "auc_head" in auc:
        told += f" (head {auc['auc_head']}, map {auc['auc_map']})"
    lines = [
        f"presence{f' of {name}' if name else ''}: {told}; masks on {hits} of {hits + misses} "
        f"images with it, on {alarms} of {alarms + rest} without"
    ]
    if found["nerves_near_gate"] is not None and found["break_even"] is not None:
        lines.append(
            f"gate {found['gate']:.2f}: of the images next to it {found['nerves_near_gate']:.2f} "
            f"show one; a mask pays above 1/(1+{metric}) = {found['break_even']:.2f}"
        )
    return "\n".join(lines)


def subjects_text(decision: dict[str, Any]) -> str:
    """The worst, the middle and the best subject; "" where they are not known."""
    metric, found = Metric(decision["metric"]), decision["by_subject"]
    if not decision["scores"]["subjects_known"] or len(found) < 2:
        return ""
    ranked = sorted((row[metric.column], name) for name, row in found.items())
    (low, worst), (high, best) = ranked[0], ranked[-1]
    middle = pd.Series([score for score, _ in ranked]).median()
    return (
        f"by subject: {metric} from {low:.3f} ({worst}) to {high:.3f} ({best}), median {middle:.3f}"
    )


def rule_text(name: str, rule: Rule) -> str:
    """What is done to test images."""
    words = f"the rule{f' for {name}' if name else ''}: "
    if rule.gate >= NEVER:
        return words + "no masks at all, as none scored better"
    steps = [f"pixels above {rule.threshold:g}"]
    if rule.gate:
        steps.insert(0, f"where presence reaches {rule.gate:g}")
    if rule.never_empty:
        steps.append("never none")
    if rule.least_area:
        steps.append(f"at least {100 * rule.least_area:.2g} % of the image")
    if rule.components:
        steps.append(f"the {rule.components} largest piece{'s'[: rule.components - 1]}")
    if rule.fill_holes:
        steps.append("holes filled")
    return words + ", ".join(steps)


def trust_text(quality: dict[str, Any]) -> str:
    """How well the score of a mask is told without its truth; "" where it is not."""
    if "referral" not in quality:
        return ""
    metric, last = quality["metric"], quality["referral"][-1]
    lines = [
        f"{metric} to expect of a mask without its truth: off by {quality['mean_error']:.3f} on "
        f"average, the mean of all by {quality['mean_error_of_the_mean']:.3f}"
    ]
    if (found := quality["rank_correlation"])["value"] is not None:
        lines[0] += f"; rank correlation {found['value']:.2f}{_between(found['interval'])}"
    lines.append(
        f"without the {100 * last['referred']:.0f} % of the images of least expectation: {metric} "
        f"{last['score']:.3f}{_between(last['interval'], 3)} in place of {quality['score']:.3f}; "
        f"{last['perfect']:.3f} if the truth told which"
    )
    return "\n".join(lines)


def _between(interval: tuple[float, float] | None, digits: int = 2) -> str:
    return "" if interval is None else " ({:.{d}f} to {:.{d}f})".format(*interval, d=digits)


def headline(decision: dict[str, Any]) -> str:
    """The nested scores with their intervals: the figures to quote."""
    scores, metric = decision["scores"], Metric(decision["metric"])
    unit = unit_of(scores)
    words, lines = beside_scores(decision["caveats"]), []
    several = "by_class" in scores
    everything = "all images and classes" if several else "all images"
    there = "those with a mask" if several else "images with a nerve"
    for name, title in (("all", everything), ("with_nerve", there)):
        score, empty = score_in(scores[name], metric), scores[name]["all_empty"]
        if score.mean is None:
            continue
        lines.append(
            f"out-of-fold {metric} over {title}: {quoted(score)} by bootstrap "
            f"over {score.n} {unit}; all-empty {empty:.3f}{words}"
        )
    return "\n".join(lines)


def quoted(score: Score) -> str:
    """The mean, and its interval where there is one; it has a mean."""
    between = "" if score.low is None else f", 95 % interval {score.low:.3f} to {score.high:.3f}"
    return f"{score.mean:.3f}{between}"


def unit_of(scores: dict[str, Any]) -> str:
    """What the interval is over; `scores` are of `summarise`."""
    return "subjects" if scores["subjects_known"] else "images (subjects unknown: too narrow)"
