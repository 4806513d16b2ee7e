"""Are images of another kind told from those that a run's networks know?

    python -m benchmarks.unlike runs/x [PATH ...]

The run's own images, each by the network that never saw it, as they are and spoilt; then those of
the files and folders that are named, by all networks; without any, the heart that comes with
pydicom. A row tells which share is more unlike than 95 % of the run's own images, of the other
folds where they are its own: 5 % is the rate of false alarms that is asked for.
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from pydicom.data import get_testdata_file
from torch import Tensor, nn

from lib.artifacts.folds import Folds, load_folds, unseen_rows
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.pictures.arrays import ImageFile, images_of_file
from lib.data.table import with_files
from lib.dataset import plain_loader
from lib.inference.looks import known_images, unlike
from lib.inference.predict import loaded_network, mean_answer
from lib.inference.tta import View
from lib.metric import Floats
from lib.quality.unlike import Known, own_times_as_far

SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda images: images.flip(3),
    "upside down": lambda images: images.flip(2),
    "grey inverted": lambda images: 255 - images,
    "a third as bright": lambda images: images // 3,
}
BEYOND = 0.95
CPU = torch.device("cpu")

Flags = npt.NDArray[np.bool_]


def main(folder: Path, paths: list[Path]) -> None:
    config = Run(folder).config()
    folds = load_folds(config)
    networks = [loaded_network(config, k, folds.sha).network for k in config.fold_numbers]
    known = known_images(folds, config)
    if None in known:
        raise SystemExit(f"{folder}: its folds are too small, or 03 was of an older version")
    own = own_times(folds, networks, known, config)
    print("| images | number | more unlike than 95 % of its own |\n|---|---|---|")
    row("its own", flagged(own, own))
    for name in SPOILT:
        spoilt = own_times(folds, networks, known, config, name)
        row(name, flagged(spoilt, own))
    for path in paths or [Path(str(get_testdata_file("examples_ybr_color.dcm")))]:
        row(path.name, new_times(path, networks, known, config) > limit(own))


def own_times(
    folds: Folds,
    networks: list[nn.Module],
    known: list[Known | None],
    config: Config,
    spoilt: str = "",
) -> list[Floats]:
    """Of each fold's images, by its network; as they are: each held against the others."""
    found = []
    for fold, network, one in zip(config.fold_numbers, networks, known, strict=True):
        rows = unseen_rows(with_files(folds.table, config), fold, config)
        change = SPOILT.get(spoilt, lambda images: images)
        features = features_of(rows, [network], config, change)[:, 0]
        group = rows["group"].to_numpy(dtype=str)
        assert one is not None
        found.append(one.times_as_far(features) if spoilt else own_times_as_far(features, group))
    return found


def new_times(
    path: Path, networks: list[nn.Module], known: list[Known | None], config: Config
) -> Floats:
    files: list[ImageFile] = []
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        files += images_of_file(file)
    rows = pd.DataFrame({"image": range(len(files)), "file": files})
    looks = [unlike(known)(one) for one in features_of(rows, networks, config)]
    return np.concatenate([times for times in looks if times is not None])


def features_of(
    rows: pd.DataFrame,
    networks: list[nn.Module],
    config: Config,
    change: Callable[[Tensor], Tensor] = lambda images: images,
) -> Floats:
    """(images, networks, channels)."""
    found = []
    for batch in plain_loader(rows, config):
        changed = batch._replace(images=change(batch.images))
        answer = mean_answer(networks, [View()], changed, config, CPU)
        assert answer.features is not None
        found.append(answer.features.numpy())
    return np.concatenate(found)


def flagged(times: list[Floats], own: list[Floats]) -> Flags:
    """Whether each image lies beyond the limit of the other folds."""
    beyond = [of > limit(own[:k] + own[k + 1 :]) for k, of in enumerate(times)]
    return np.concatenate(beyond)


def limit(times: Iterable[Floats]) -> float:
    return float(np.nanquantile(np.concatenate(list(times)), BEYOND))


def row(name: str, beyond: Flags) -> None:
    print(f"| {name} | {len(beyond):,} | {100 * beyond.mean():.1f} % |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH")
    words = parser.parse_args()
    main(words.run, words.paths)
