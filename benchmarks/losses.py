"""Every loss, optimizer and schedule for one epoch on a phantom: that each of them learns.

    python -m benchmarks.losses ["optimizer=SGD learning_rate=0.1" ...]      (none: all choices)

Prints one table: validation IoU and Dice of 100 phantom frames of five people, trained on 300 of 15
others, and the seconds that took. One epoch of few frames tells whether a choice learns, not which
is best.
"""

import contextlib
import importlib
import io
import sys
import tempfile
from pathlib import Path

import torch

from lib.artifacts.folds import load_folds
from lib.config.fields import FIELDS, Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.data.table import with_files
from lib.runtime.memory import keep_freed_memory
from lib.training.loop import Trainer
from lib.training.validation import Row
from tools.phantom.dataset import generate

SETTINGS = [
    "backbone=tu-tf_efficientnet_lite0",
    "image_height=96",
    "image_width=128",
    "batch_size=4",
    "epochs=1",
    "number_of_workers=0",
    "mixed_precision_inference=true",
    "n_folds=4",
    "folds=[0]",
]
COMPARED = ("loss_function", "optimizer", "schedule")


def main(rows: list[str]) -> None:
    keep_freed_memory()
    print(f"{torch.get_num_threads()} threads; {' '.join(SETTINGS)}")
    print("|   | IoU, all | IoU, nerve | Dice, nerve | train loss | s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "phantom"
        given = [f"data={data}", f"runs_folder={folder}/runs", *SETTINGS]
        with contextlib.redirect_stdout(io.StringIO()):
            generate(data, subjects=20, test_subjects=1)
            importlib.import_module("01_prepare_folds").main(load_settings(DEFAULT_FILE, given))
        for choice in rows or choices():
            scores, seconds = trained(load_settings(DEFAULT_FILE, [*given, *choice.split()]))
            print(row(choice, scores, seconds), flush=True)


def choices() -> list[str]:
    """The defaults, then all others."""
    others = [
        f"{name}={value}"
        for name in COMPARED
        for value in FIELDS[name].metadata["choices"]
        if value != getattr(Config(), name)
    ]
    return [f"loss_function={Config().loss_function}", *others]


def trained(config: Config) -> tuple[Row, float]:
    """The last row of the log, and the seconds that training and validation took."""
    folds = load_folds(config)
    with contextlib.redirect_stdout(io.StringIO()):
        trainer = Trainer(folds, with_files(folds.table, config), 0, config)
        trainer.fit()
    return trainer.rows[-1], trainer.seconds


def row(choice: str, scores: Row, seconds: float) -> str:
    names = ("validation_iou", "validation_iou_nerve", "validation_dice_nerve", "train_loss")
    cells = [f"{scores[name]:.3f}" for name in names]
    return f"| {choice} | {' | '.join(cells)} | {seconds:.0f} |"


if __name__ == "__main__":
    main(sys.argv[1:])
