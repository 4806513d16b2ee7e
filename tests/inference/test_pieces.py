"""Probability files made in pieces, by a "network" that can be counted and cut off."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lib.artifacts.npz import packed_image
from lib.artifacts.probabilities import Probabilities, ProbabilityWriter
from lib.inference.pieces import Member, is_whole, write_in_pieces
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole

PROVENANCE: dict[str, Any] = {"models": {"0": "abc"}, "images": {}, "folds": "def"}
COUNT = 150  # three pieces: 64, 64, 22


def probability_of(image: str, classes: int = 1) -> np.ndarray:
    random = np.random.default_rng(int(image.rpartition("_")[2]))
    return random.integers(0, 256, (classes, 5, 7), dtype=np.uint8)


class Maker:
    """Makes the members of a table until it is cut off."""

    def __init__(self, until: int = 10**9, classes: int = 1) -> None:
        self.until, self.classes = until, classes
        self.made: list[str] = []

    def __call__(self, images: pd.DataFrame) -> Iterator[Member]:
        for image in images["image"]:
            if len(self.made) == self.until:
                raise KeyboardInterrupt
            self.made.append(image)
            presence = np.full(self.classes, len(image) / 10, dtype=np.float32)
            looks = np.array([len(image), 0.1], dtype=np.float32)
            packed = packed_image(image, probability_of(image, self.classes))
            yield Member(packed, presence, looks)


def table() -> pd.DataFrame:
    return pd.DataFrame({"image": [f"Ä/frame_{number}" for number in range(COUNT)]})


def made(path: Path, maker: Maker, provenance: dict[str, Any] = PROVENANCE) -> int:
    return write_in_pieces(path, provenance, table(), 4, maker)


@pytest.mark.parametrize("classes", [1, 2])
def test_pieces_joined_are_the_file_written_at_once(tmp_path: Path, classes: int) -> None:
    maker = Maker(classes=classes)
    assert made(tmp_path / "joined.npz", maker) == COUNT
    at_once = tmp_path / "at_once.npz"
    with written_whole(at_once) as file, ProbabilityWriter(file, PROVENANCE) as writer:
        for member in Maker(classes=classes)(table()):
            writer.add_packed(*member)
    assert (tmp_path / "joined.npz").read_bytes() == at_once.read_bytes()
    with Probabilities(tmp_path / "joined.npz") as probabilities:
        assert probabilities.looks is not None and len(probabilities.looks) == COUNT
        for image, looks in zip(table()["image"], probabilities.looks, strict=True):
            assert np.array_equal(probabilities[image], probability_of(image, classes))
            assert looks.tolist() == [len(image), pytest.approx(0.1)]
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["at_once.npz", "checksums.json", "joined.npz"]


def test_what_was_cut_off_goes_on_behind_the_last_whole_piece(tmp_path: Path) -> None:
    made(tmp_path / "whole.npz", Maker())
    cut = tmp_path / "cut.npz"
    with pytest.raises(KeyboardInterrupt):
        made(cut, Maker(until=70))
    assert not cut.exists()
    second = Maker(until=63)
    with pytest.raises(KeyboardInterrupt):
        made(cut, second)
    assert second.made[0] == table()["image"][64]
    last = Maker()
    assert made(cut, last) == COUNT - 64
    assert last.made == table()["image"].tolist()[64:]
    assert cut.read_bytes() == (tmp_path / "whole.npz").read_bytes()


@pytest.mark.parametrize("place", [40, 300, -200, -30])
def test_a_piece_that_is_damaged_is_made_again(tmp_path: Path, place: int) -> None:
    made(tmp_path / "whole.npz", Maker())
    cut = tmp_path / "cut.npz"
    with pytest.raises(KeyboardInterrupt):
        made(cut, Maker(until=140))
    (piece,) = tmp_path.glob(".cut.npz.*/0.npz")
    content = bytearray(piece.read_bytes())
    content[place] ^= 1
    piece.write_bytes(content)
    assert made(cut, Maker()) == COUNT - 64
    assert cut.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_damaged_image_of_a_file_without_a_hash_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    made(path, Maker())
    (tmp_path / "checksums.json").unlink()
    content = bytearray(path.read_bytes())
    content[120] ^= 1  # within the first image
    path.write_bytes(content)
    words = r"file.npz: Ä/frame_0 is damaged .*: delete the file and run 03_infer.py"
    with Probabilities(path) as probabilities, pytest.raises(InputError, match=words):
        probabilities["Ä/frame_0"]


def test_pieces_that_are_all_there_are_joined_without_the_network(tmp_path: Path) -> None:
    """As after a stop between the last piece and the joining."""
    path = tmp_path / "file.npz"
    made(path, Maker())
    before = path.read_bytes()
    (tmp_path / "target").mkdir()
    blocked = tmp_path / "target" / "file.npz"
    blocked.mkdir()  # nothing can take its name
    with pytest.raises(InputError, match="cannot be written"):
        made(blocked, Maker())
    blocked.rmdir()
    idle = Maker()
    assert made(blocked, idle) == 0
    assert idle.made == []
    assert blocked.read_bytes() == before


def test_pieces_of_another_order_of_the_images_are_not_gone_on_with(tmp_path: Path) -> None:
    path, turned = tmp_path / "file.npz", table().iloc[::-1].reset_index(drop=True)
    with pytest.raises(KeyboardInterrupt):
        made(path, Maker(until=70))
    assert write_in_pieces(path, PROVENANCE, turned, 4, Maker()) == COUNT
    with Probabilities(path) as probabilities:
        assert list(probabilities.presence) == turned["image"].tolist()


def test_of_no_image_there_is_a_file_too(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    assert write_in_pieces(path, PROVENANCE, table().head(0), 4, Maker()) == 0
    assert is_whole(path, PROVENANCE)
    with Probabilities(path) as probabilities:
        assert probabilities.presence == {}


def test_pieces_of_another_model_are_not_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    with pytest.raises(KeyboardInterrupt):
        made(path, Maker(until=70))
    other = Maker()
    made(path, other, PROVENANCE | {"models": {"0": "xyz"}})
    assert len(other.made) == COUNT
    assert {found.name for found in tmp_path.iterdir()} == {"file.npz", "checksums.json"}


def test_a_file_is_whole_where_it_was_made_from_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file.npz"
    assert not is_whole(path, PROVENANCE)
    made(path, Maker(), PROVENANCE | {"weights": {"a": 0.3}})
    assert is_whole(path, PROVENANCE)
    assert not is_whole(path, PROVENANCE | {"folds": "other"})
    assert not is_whole(path, PROVENANCE | {"new": None, "folds": "other"})
