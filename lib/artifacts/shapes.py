"""mask_pca.npz: the shapes that masks are projected on, where a rule does that."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.files import written_whole

# mask_pca.npz: the shapes that masks are projected on, where a rule does that


def shapes_path(config: Config) -> Path:
    return Run.of(config).folder / "mask_pca.npz"


def save_shapes(config: Config, shapes: Mapping[str, Any]) -> None:
    """Of each class by name, its Shapes or None: float32 NAME_mean, NAME_components.

    Where there are none, no file is left.
    """
    members = {
        f"{name}_{part}": array
        for name, found in shapes.items()
        if found is not None
        for part, array in found._asdict().items()
    }
    path = shapes_path(config)
    if not members:
        path.unlink(missing_ok=True)
        return
    with written_whole(path) as file:
        np.savez(file, allow_pickle=False, **members)


def load_shapes(config: Config) -> dict[str, npt.NDArray[np.float32]]:
    """The members of the file by their names; none where there is no file."""
    path = shapes_path(config)
    if not path.is_file():
        return {}
    with np.load(path) as members:
        return dict(members)
