"""The figures of the page: of folds, subjects, training, data, settings and calibration."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from lib.artifacts.folds import TRAINING_ONLY, mask_areas, masks_in, true_mask
from lib.artifacts.log import log_path
from lib.artifacts.probabilities import Probabilities, oof_path
from lib.artifacts.run import run_folder
from lib.config.fields import DEFAULTS, FIELDS, Config
from lib.decision.evidence import Unseen
from lib.decision.results import Results
from lib.metric import Floats, bootstrap_interval
from lib.runtime.files import sha_of
from tools.compare.files import NAMES

DRAWS = 1000  # of a bootstrap for each subject: enough for an interval that is drawn
BINS = 10  # of a reliability diagram
SHARES = np.arange(0, 1.01, 0.05)  # of test images with a nerve
MAP = (21, 29)  # cells of the map of places: rows, columns
PACKAGES = ("torch", "segmentation-models-pytorch", "timm", "albumentations", "numpy")


def folds_table(results: Results) -> list[dict[str, Any]]:
    """A row a fold, and a last one of all images."""
    groups = [(f"fold {fold}", part) for fold, part in results.rows.groupby("fold")]
    return [_scored(name, part) for name, part in [*groups, ("all", results.rows)]]


def subjects_table(results: Results) -> list[dict[str, Any]]:
    """A row a subject, the worst first; none where subjects are not known.

    `cost` is how much the mean over all images would rise if the subject scored as all do. The
    interval is over images, as there is one subject: frames are near-copies, so it is too narrow.
    """
    rows, metric = results.rows, results.metric
    if (rows["subject"] == "").any():
        return []
    mean = rows[metric].mean()
    found = [_scored(str(name), part, "image", DRAWS) for name, part in rows.groupby("subject")]
    for row in found:
        row["cost"] = row["rows"] / len(rows) * (mean - row[metric])
    return sorted(found, key=lambda row: (row[metric], row["name"]))


def _scored(
    name: str, rows: pd.DataFrame, unit: str = "subject", draws: int = 10_000
) -> dict[str, Any]:
    """Counts, means and their 95 % intervals by bootstrap over the units."""
    nerve = rows[rows["true_area"] > 0]
    units = rows[unit if (rows[unit] != "").all() else "image"].to_numpy(dtype=str)
    row: dict[str, Any] = {
        "name": name,
        "rows": len(rows),
        "images": rows["image"].nunique(),
        "subjects": rows["subject"].nunique() if (rows["subject"] != "").all() else None,
        "with_nerve": nerve["image"].nunique(),
        "share": nerve["image"].nunique() / rows["image"].nunique(),
        "iou_nerve": float(nerve["iou"].mean()) if len(nerve) else None,
    }
    for metric in ("iou", "dice"):
        values = rows[metric].to_numpy(dtype=float)
        interval = bootstrap_interval(values, units, draws)
        row |= {metric: float(values.mean()), f"{metric}_interval": interval}
    return row


def unscored_folds(results: Results) -> list[int]:
    """The folds that were made and are not in the scores."""
    made = set(results.folds.table["fold"]) - {TRAINING_ONLY}
    return sorted(made - set(results.config.fold_numbers))


def training_log(config: Config) -> pd.DataFrame:
    """The rows of every fold{k}/log.csv that is there, with a column fold; empty without any."""
    logs = [
        pd.read_csv(log_path(config, fold)).assign(fold=str(fold))
        for fold in config.fold_numbers
        if log_path(config, fold).is_file()
    ]
    return pd.concat(logs, ignore_index=True) if logs else pd.DataFrame(columns=["fold", "epoch"])


def speeds(config: Config) -> list[dict[str, Any]]:
    """Of each fold whose speed.csv is there, what it says last."""
    found = []
    for fold in config.fold_numbers:
        path = log_path(config, fold).with_name("speed.csv")
        table = pd.read_csv(path) if path.is_file() else pd.DataFrame()
        if len(table):
            found.append({"fold": fold, **table.iloc[-1].to_dict()})
    return found


def other_settings(config: Config) -> list[dict[str, str]]:
    """Settings that are not those of the reference experiment, but for the run's name."""
    return [
        {
            "name": name,
            "value": without_path(getattr(config, name)),
            "reference": without_path(getattr(DEFAULTS, name)),
            "about": item.metadata["about"],
        }
        for name, item in FIELDS.items()
        if name not in NAMES and getattr(config, name) != getattr(DEFAULTS, name)
    ]


def without_path(value: Any) -> str:
    """As text; of a path of this machine, or a list of them, the last name only."""
    if isinstance(value, list) and value and isinstance(value[0], str):
        return str(list(map(without_path, value)))
    text = str(value)
    return Path(text).name if Path(text).is_absolute() else text


def versions() -> dict[str, str]:
    return {"Python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def hashes(results: Results) -> dict[str, str]:
    """Of what the scores were made from, and of the submission."""
    found = {"folds.csv": results.folds.sha}
    for fold in results.config.fold_numbers:
        path = oof_path(results.config, fold)
        with Probabilities(path) as probabilities:
            origins = probabilities.provenance["models"]
        for origin, sha in origins.items():
            run = results.config.ensemble and f"{without_path(origin)}/{path.name}"
            found[run or f"fold{origin}/model.pt"] = sha
    for name in ("oof_iou.csv", "decision.json", "submission.csv"):
        path = run_folder(results.config) / name
        if path.is_file():
            found[name] = sha_of(path.read_bytes())
    return found


def areas(table: pd.DataFrame) -> pd.DataFrame:
    """Columns class and share: the area of each mask of folds.csv, in percent of its image."""
    parts = []
    for column in masks_in(table):
        share = 100 * mask_areas(table, column) / (table["height"] * table["width"]).to_numpy()
        name = column.removeprefix("rle_mask").removeprefix("_") or "nerve"
        parts.append(pd.DataFrame({"class": name, "share": share[share > 0]}))
    return pd.concat(parts, ignore_index=True)


def places(table: pd.DataFrame) -> Floats:
    """MAP: the share of the masks, classes together, that cover each cell; 0 without any."""
    total, masks = np.zeros(MAP), 0
    for column in masks_in(table):
        for row in table[table[column] != ""].to_dict("records"):
            mask = true_mask(row, column).astype(np.float32)
            total += cv2.resize(mask, MAP[::-1], interpolation=cv2.INTER_AREA)
            masks += 1
    return total / max(masks, 1)


def twins_table(config: Config) -> pd.DataFrame:
    """contradictions.csv; empty where 01 found none."""
    path = run_folder(config) / "contradictions.csv"
    if not path.is_file():
        return pd.DataFrame(columns=["image", "twin"])
    words = dict.fromkeys(("image", "twin", "subject", "twin_subject"), str)
    return pd.read_csv(path, dtype=words, keep_default_na=False)


def presence_reliability(results: Results) -> pd.DataFrame:
    """By class and tenth of presence: images, and the share of them that show a nerve.

    Presence is what each nested rule holds against its gate.
    """
    parts = []
    for name, evidence, found in zip(
        results.folds.classes, results.unseen.evidence, results.decided, strict=True
    ):
        told = np.clip(found.presence, 0, 1)
        there = (evidence.truth > 0).astype(float)
        parts.append(_reliability(told, there, np.ones(len(told))).assign(name=name or "nerve"))
    return pd.concat(parts, ignore_index=True)


def pixel_reliability(unseen: Unseen, classes: list[str]) -> pd.DataFrame:
    """By class and tenth of probability: pixels, and the share of them inside the true masks."""
    parts = []
    levels = np.arange(256) / 255
    for name, evidence in zip(classes, unseen.evidence, strict=True):
        pixels, true = evidence.pixels.sum(axis=0), evidence.true.sum(axis=0)
        share = np.divide(true, pixels, out=np.zeros(256), where=pixels > 0)
        parts.append(_reliability(levels, share, pixels).assign(name=name or "nerve"))
    return pd.concat(parts, ignore_index=True)


def _reliability(told: Floats, there: Floats, weight: Floats) -> pd.DataFrame:
    """Weighted means of what was told and of what is there, in BINS of what was told."""
    place = np.minimum((told * BINS).astype(int), BINS - 1)
    number = np.bincount(place, weight, BINS)
    used = number > 0
    means = [np.bincount(place, weight * v, BINS)[used] / number[used] for v in (told, there)]
    return pd.DataFrame({"told": means[0], "there": means[1], "number": number[used]})


def calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of told and there, weighted by number (Naeini, Cooper, Hauskrecht 2015)."""
    distance = (table["told"] - table["there"]).abs()
    return float((distance * table["number"]).sum() / table["number"].sum())


def expected_scores(results: Results) -> pd.DataFrame:
    """Columns share, what, score: of the nested rules and of empty masks, by the share of images
    with a nerve; none where all or no images have one."""
    there = (results.rows["true_area"] > 0).to_numpy()
    if there.all() or not there.any():
        return pd.DataFrame(columns=["share", "what", "score"])
    values = results.rows[results.metric].to_numpy(dtype=float)
    empty, full = values[~there].mean(), values[there].mean()
    lines = {
        "rules chosen without the images": (1 - SHARES) * empty + SHARES * full,
        "all masks empty": 1 - SHARES,
    }
    return pd.concat(
        [pd.DataFrame({"share": SHARES, "what": n, "score": s}) for n, s in lines.items()],
        ignore_index=True,
    )
