"""Tables of what happens to the file, and what a run finds then."""

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.data import cache
from lib.data.cache import Pixels, Store, kept
from tests.conftest import REPOSITORY

SHAPE = (2, 3)
ARRAYS = np.arange(24, dtype=np.uint8).reshape(4, *SHAPE)
BYTES = 24  # of the four arrays
LIMIT = 1000


def make() -> list[Pixels]:
    """Batches of three and one."""
    return [ARRAYS[:3], ARRAYS[3:]]


def never() -> list[Pixels]:
    raise AssertionError("the file is whole")


def keep(path: Path, limit: int = LIMIT) -> Store | None:
    return kept(path, 4, SHAPE, make, limit)


def contents(store: Store | None) -> list[list[list[int]]]:
    assert store is not None
    return [store[place].tolist() for place in range(4)]


def names(folder: Path) -> list[str]:
    """All but the lock."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "key.npy"


def test_the_file_is_the_arrays_as_numpy_keeps_them(path: Path) -> None:
    assert contents(keep(path)) == ARRAYS.tolist()
    assert np.array_equal(np.load(path), ARRAYS)
    assert names(path.parent) == [path.name]


def test_a_file_that_is_whole_is_not_made_again(path: Path) -> None:
    keep(path)
    assert contents(kept(path, 4, SHAPE, never, LIMIT)) == ARRAYS.tolist()


@given(st.data())
def test_any_array_is_read_as_it_was_written_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    count, height, width = (data.draw(st.integers(1, 5)) for _ in range(3))
    values = data.draw(st.binary(min_size=count * height * width, max_size=count * height * width))
    arrays = np.frombuffer(values, dtype=np.uint8).reshape(count, height, width)
    at_once = data.draw(st.integers(1, count))
    batches = [arrays[at : at + at_once] for at in range(0, count, at_once)]
    path = tmp_path_factory.mktemp("any") / "key.npy"
    store = kept(path, count, (height, width), lambda: batches, LIMIT)
    assert store is not None
    for place in data.draw(st.permutations(range(count))):
        assert np.array_equal(store[place], arrays[place])


def test_what_is_read_may_be_written_to_without_changing_the_file(path: Path) -> None:
    store = keep(path)
    assert store is not None
    store[0][:] = 99
    assert contents(store) == ARRAYS.tolist()


@pytest.mark.parametrize("left", [-1, 40, 0], ids=["an array short", "half a header", "nothing"])
def test_a_file_that_was_cut_off_is_made_anew(
    path: Path, left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    assert contents(keep(path)) == ARRAYS.tolist()
    assert path.read_bytes() == whole
    assert f"{path} is damaged and is made anew" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "there"), [(BYTES, True), (BYTES - 1, False)])
def test_what_does_not_fit_is_not_kept_and_says_so(
    path: Path, limit: int, there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (keep(path, limit) is not None) == there == path.exists()
    said = "has no room for 0.00 GiB"
    assert (said in capsys.readouterr().out) != there


def test_what_other_runs_keep_takes_room(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = path.with_name("other.npy")
    keep(other)
    used = other.stat().st_size
    capsys.readouterr()
    assert keep(path, used + BYTES - 1) is None
    assert f"What is in {path.parent} may be deleted" in capsys.readouterr().out
    assert contents(keep(path, used + BYTES)) == ARRAYS.tolist()
    assert contents(keep(other, used)) == ARRAYS.tolist()


def test_a_disk_is_not_filled_to_the_brim(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "SPARE", 1 << 62)
    assert keep(path) is None
    said = capsys.readouterr().out
    assert "the disk has no room for 0.00 GiB" in said


def test_a_folder_that_cannot_be_made_is_no_obstacle(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path.parent.write_text("a file in its place")
    assert keep(path) is None
    assert f"{path} cannot be kept (File exists)" in capsys.readouterr().out


def test_an_error_of_what_is_kept_goes_on_and_leaves_nothing(path: Path) -> None:
    def broken() -> Iterator[Pixels]:
        yield ARRAYS[:3]
        raise ValueError("1_2.tif is damaged")

    with pytest.raises(ValueError, match=r"1_2\.tif is damaged"):
        kept(path, 4, SHAPE, broken, LIMIT)
    assert names(path.parent) == []


def test_a_file_deleted_by_another_run_is_read_to_the_end(path: Path) -> None:
    store = keep(path)
    path.unlink()
    assert contents(store) == ARRAYS.tolist()


def test_a_process_that_is_no_fork_reads_the_same(path: Path) -> None:
    assert contents(pickle.loads(pickle.dumps(keep(path)))) == ARRAYS.tolist()


PROGRAM = """
import resource
import sys
from pathlib import Path
import numpy as np
from lib.data.cache import kept

def make():
    for value in range(40):
        yield np.full((1, 100, 100), value, dtype=np.uint8)
        print("batch", flush=True)
        if sys.argv[2] == "wait":
            sys.stdin.readline()

if sys.argv[2] == "full":  # no file may grow beyond this: stands for a disk that is full half way
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, resource.RLIM_INFINITY))
store = kept(Path(sys.argv[1]), 40, (100, 100), make, 10**9)
assert store is None or all((store[place] == place).all() for place in range(40))
"""


def start(path: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), how],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_make_the_same_file_at_once_all_read_it(path: Path) -> None:
    processes = [start(path, "go") for _ in range(4)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert names(path.parent) == [path.name]


def test_a_disk_that_is_full_half_way_leaves_nothing_behind(path: Path) -> None:
    process = start(path, "full")
    said, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert said.count("batch") > 1
    assert f"{path}: cannot be written (File too large). Meanwhile images are read from" in said
    assert names(path.parent) == []


def test_a_process_that_is_killed_while_it_writes_is_no_obstacle(path: Path) -> None:
    process = start(path, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "batch\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not path.exists()
    assert contents(keep(path)) == ARRAYS.tolist()
    assert names(path.parent) == [path.name]
