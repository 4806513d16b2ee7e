"""What the four scripts share: seven small modules, then a room for each step.

The small modules: rle.py (masks as run lengths), dataset.py (images in batches), augment.py (their
augmentations), unet.py (the network), bce_dice.py and losses.py, metric.py (IoU, Dice, intervals).

The rooms, in the order of an image's way: config/ (every setting), data/ (files of any layout ->
one table), folds/ (01), training/ (02), inference/ (03), decision/ (04), with quality/ (which masks
can be trusted) and readers/ (whether people agree). artifacts/ holds the files that one step hands
to the next; runtime/ knows neither a setting nor an image.

Imports point one way, and tests/test_import_order.py holds that: runtime < rle, metric < config <
artifacts, unet, augment, bce_dice < data, losses < dataset, folds, quality < inference < decision <
readers < training < tools < scripts. Begin with a script, such as 02_train.py: it reads from the
top down.
"""

import os
import sys

from lib.runtime.interrupt import end_without_a_word


def _is_step(script: str) -> bool:
    """Whether it is one of the four; without pathlib, which takes longer to load."""
    folder, name = os.path.split(os.path.realpath(script))
    project = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    return folder == project and name.startswith("0")


if sys.argv and _is_step(sys.argv[0]):
    end_without_a_word()  # at Ctrl-C, while it imports

from lib.runtime.cores import share_cores  # noqa: E402

share_cores()

# Commands of before the rooms answer with their new names, for one release. `python -m lib.X`
# imports this package before it looks for X, and sys.argv[0] is "-m" meanwhile.
MOVED = {
    **{f"lib.{name}": f"tools.{name}" for name in ("compare", "phantom", "report", "submission")},
    "lib.export": "tools.scoring",
}
if sys.argv[:1] == ["-m"]:
    asked = sys.orig_argv[-len(sys.argv)].removeprefix("-m")
    if asked in MOVED:
        print(f"python -m {asked} is now python -m {MOVED[asked]}", file=sys.stderr)
        sys.exit(2)
