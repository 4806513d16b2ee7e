"""Files of labels, tables, settings and zips with something wrong in them, read by 01."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from lib import rle
from lib.data.layouts import load_settings
from lib.data.table import read_training_images
from tests.conftest import REPOSITORY, tiny_image, write_competition
from tests.data.formats.test_formats import WRITTEN
from tests.hammer.child import Work, attempts
from tests.hammer.malformed import BATCH, ENOUGH, HOLDS
from tests.hammer.mutations import changed, changed_text, changed_tree
from tests.hammer.table import Fault, Try

PICTURES = {".png", ".jpg", ".tif"}
TREES: dict[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    ".json": (json.loads, json.dumps),
    ".yaml": (yaml.safe_load, lambda tree: str(yaml.dump(tree, allow_unicode=True))),
}


def read_folder(folder: Path, quarantine: bool) -> None:
    """The settings and the table of a folder of data, as 01 makes them."""
    words = [f"data={folder}", f"runs_folder={folder.parent}/runs", f"quarantine={quarantine}"]
    read_training_images(load_settings(REPOSITORY / "config.yaml", words))


def read_settings(folder: Path, _: bool) -> None:
    load_settings(folder / "config.yaml")


def read_zip(folder: Path, quarantine: bool) -> None:
    read_folder(folder / "data.zip", quarantine)


def competition(folder: Path) -> None:
    write_competition(folder, subjects=2, frames=2, test_images=1)


def zipped(folder: Path) -> None:
    competition(folder / "data")
    shutil.make_archive(str(folder / "data"), "zip", folder / "data")
    shutil.rmtree(folder / "data")


def settings(folder: Path) -> None:
    folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / "config.yaml", folder)


def table(folder: Path, name: str) -> None:
    """Of Hydrogen Torch: lists of classes and run lengths in a row; in .csv a mask a row."""
    (folder / "images").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for seed in (1, 2):
        pixels, mask = tiny_image(seed, nerve=True)
        (folder / "images" / f"{seed}.png").write_bytes(_png(pixels))
        runs = rle.encode(mask)
        lists = name.endswith(".pq")
        told = {"class_id": ["nerve"], "rle_mask": [runs]} if lists else {"rle_mask": runs}
        rows.append({"image": f"{seed}.png", "subject": f"s{seed}", "fold": seed, **told})
    _save(rows, folder / name)


def _png(pixels: Any) -> bytes:
    import cv2

    found: bytes = cv2.imencode(".png", pixels)[1].tobytes()
    return found


def _save(rows: list[dict[str, Any]], path: Path) -> None:
    frame = pd.DataFrame(rows)
    if path.suffix == ".pq":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)


def tries(
    write: Callable[[Path], object],
    read: Callable[[Path, bool], None],
    folder: Path,
    rng: random.Random,
) -> Iterator[Try]:
    """For ever; the data that lost something stay in the folder."""
    sound = folder / "sound"
    write(sound)
    number = 0
    while True:
        works: list[Work] = []
        for _ in range(BATCH):
            number += 1
            data = folder / str(number) / "data"
            shutil.copytree(sound, data)
            told = sorted(p for p in data.rglob("*") if p.is_file() and p.suffix not in PICTURES)
            spoil(rng.choice(told), rng)
            works.append((str(data), partial(read, data, rng.random() < 0.5)))
        for one in attempts(works):
            if not one.lost:
                shutil.rmtree(Path(one.what).parent)
            yield one


def spoil(path: Path, rng: random.Random) -> None:
    """Something else in a place of the file's tree or table, or else in its text or bytes."""
    content, how = path.read_bytes(), rng.random()
    if path.suffix == ".pq" and how < 0.6:
        rows = [
            {key: list(v) if hasattr(v, "tolist") else v for key, v in row.items()}
            for row in pd.read_parquet(path).to_dict("records")
        ]
        with suppress(Exception):  # what a parquet file cannot hold
            _save(changed_tree(rows, rng), path)
            return
    elif path.suffix in TREES and how < 0.6:
        load, dump = TREES[path.suffix]
        text = dump(changed_tree(load(content.decode()), rng))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return
    elif path.suffix not in (".zip", ".pq") and how < 0.85:
        text = changed_text(content.decode(), rng)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return
    path.write_bytes(changed(content, [content], rng))


def _written(name: str, write: Callable[[Path], object], enough: int = ENOUGH) -> Fault:
    return Fault(f"malformed {name}", HOLDS, partial(tries, write, read_folder), enough)


FAULTS = [
    *(_written(f"{module.NAME} {n}", write, 500) for n, (module, write) in enumerate(WRITTEN, 1)),
    _written("CSV of the competition", competition),
    _written("CSV", partial(table, name="train.csv")),
    _written("Parquet", partial(table, name="train.pq")),
    Fault("malformed YAML of settings", HOLDS, partial(tries, settings, read_settings), ENOUGH),
    Fault("malformed zip", HOLDS, partial(tries, zipped, read_zip), ENOUGH),
]
