import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lib.artifacts.probabilities import Probabilities, ProbabilityWriter
from lib.artifacts.run import with_drawn_seed
from lib.config.fields import Config
from lib.data.layouts import load_settings
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from tests.conftest import configured, step


def write(path: Path, images: dict[str, np.ndarray]) -> None:
    provenance = {"models": {"0": "abc"}, "images": dict.fromkeys(images, "sha")}
    with written_whole(path) as file, ProbabilityWriter(file, provenance) as writer:
        for number, (image, probability) in enumerate(images.items()):
            writer.add(image, probability[None], np.array([number / 10], dtype=np.float32))


def test_a_file_whose_writing_fails_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError), written_whole(path) as file:
        file.write(b"half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"file/below: cannot be written"),
        written_whole(tmp_path / "file" / "below"),
    ):
        pass


def test_what_a_killed_step_left_half_written_is_gone_after_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with written_whole(path) as file:
        file.write(b"half")
        file.flush()
        killed = {part.name: part.read_bytes() for part in tmp_path.iterdir()}
    for name, content in killed.items():
        (tmp_path / name).write_bytes(content)
    with written_whole(path) as file:
        file.write(b"whole")
    assert [part.name for part in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"whole"


class Garbage:
    """When it is collected, another thread goes on."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        time.sleep(0)


@pytest.fixture(params=[7, 50])
def busy_collector(request: pytest.FixtureRequest) -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(request.param, 1, 1)
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("busy_collector")
def test_threads_read_probabilities_in_any_python(tmp_path: Path) -> None:
    """Before 3.11.8, threads that read headers of arrays together failed now and then."""
    write(tmp_path / "oof.npz", {"a": np.eye(5, 7, dtype=np.uint8)})

    def read(_: int) -> int:
        for _ in range(30):
            garbage = [Garbage() for _ in range(3)]
            del garbage
            found = probabilities["a"]
        return int(found.sum())

    with Probabilities(tmp_path / "oof.npz") as probabilities, ThreadPoolExecutor(4) as pool:
        assert set(pool.map(read, range(40))) == {5}


def test_probabilities_are_a_plain_npz_keyed_by_image(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    images = {name: random.integers(0, 256, (5, 7), dtype=np.uint8) for name in ("2_1", "folder/a")}
    write(tmp_path / "oof.npz", images)
    with np.load(tmp_path / "oof.npz") as arrays:
        assert all(np.array_equal(arrays[name], images[name]) for name in images)
    with Probabilities(tmp_path / "oof.npz") as probabilities:
        assert np.array_equal(probabilities["2_1"], images["2_1"][None])
        presence = {name: float(value[0]) for name, value in probabilities.presence.items()}
        assert presence == pytest.approx({"2_1": 0.0, "folder/a": 0.1})
        assert probabilities.provenance["models"] == {"0": "abc"}


def test_the_same_probabilities_give_the_same_bytes(tmp_path: Path) -> None:
    images = {"a": np.eye(9, dtype=np.uint8)}
    for name in ("one", "two"):
        write(tmp_path / name, images)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK", b"nothing of the kind"])
def test_a_damaged_probability_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "oof.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"oof.npz is not a probability file .*03_infer.py"):
        Probabilities(path)


def test_a_drawn_seed_is_printed_kept_and_used_by_later_steps(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "seed=-1")
    step(1).main(config)
    kept = load_settings(Path(config.runs_folder) / "nerve" / "config.yaml").seed
    assert 0 <= kept < 1_000_000
    assert f"seed: {kept} (drawn)" in capsys.readouterr().out
    assert with_drawn_seed(config).seed == kept
    step(1).main(config)
    assert with_drawn_seed(config).seed == kept


def test_a_fixed_seed_stays() -> None:
    assert with_drawn_seed(Config(seed=7)).seed == 7
