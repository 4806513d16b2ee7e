"""Rows of gpu.json, for benchmarks/gpu.sh.

python -m benchmarks.gpu row OUT NAME=VALUE ...   adds one
python -m benchmarks.gpu score OUT STAGE RUN      adds the scores of a finished run
python -m benchmarks.gpu table OUT                prints all
"""

import argparse
import json
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def add(out: Path, row: Row) -> None:
    path = out / "gpu.json"
    rows = json.loads(path.read_text()) if path.is_file() else []
    path.write_text(json.dumps([*rows, row], indent=1))


def score(out: Path, stage: str, run: Path) -> None:
    """The out-of-fold figures of the run, by rules chosen without the image (nested)."""
    path = run / "decision.json"
    if not path.is_file():
        add(out, {"stage": stage, "what": f"{run.name} scores", "error": f"no {path}"})
        return
    scores = json.loads(path.read_text())["scores"]
    row: Row = {"stage": stage, "what": f"{run.name} scores"}
    for of in ("all", "with_nerve"):
        low, high = scores[of]["iou_interval"]
        row |= {f"IoU {of}": scores[of]["iou"], f"interval {of}": f"{low:.3f}..{high:.3f}"}
    add(out, row)


def table(out: Path) -> None:
    rows = json.loads((out / "gpu.json").read_text())
    for row in rows:
        words = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
        print("  ".join(words))


def row_of(words: list[str]) -> Row:
    pairs = (word.split("=", 1) for word in words)
    return {name: number(value) for name, value in pairs}


def number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["row", "score", "table"])
    parser.add_argument("out", type=Path)
    parser.add_argument("rest", nargs="*")
    given = parser.parse_args()
    if given.what == "row":
        add(given.out, row_of(given.rest))
    elif given.what == "score":
        score(given.out, given.rest[0], Path(given.rest[1]))
    else:
        table(given.out)
