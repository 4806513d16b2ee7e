"""Tables of what happens to the file, and what a run finds then."""

import os
import pickle
import signal
import subprocess
import sys
import time
import zlib
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
BYTES = 24 + 4  # of the file: four arrays, and their checksum
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
    arrays = [store[place] for place in range(4)]
    return [array.tolist() for array in arrays if array is not None]


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "key.images"


def test_the_file_is_the_arrays_and_their_checksum(path: Path) -> None:
    assert contents(keep(path)) == ARRAYS.tolist()
    values = bytes(range(24))
    assert path.read_bytes() == values + zlib.crc32(values).to_bytes(4, "little")
    assert [other.name for other in path.parent.iterdir()] == [path.name]


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
    path = tmp_path_factory.mktemp("any") / "key.images"
    store = kept(path, count, (height, width), lambda: batches, LIMIT)
    assert store is not None
    for place in data.draw(st.permutations(range(count))):
        assert np.array_equal(store[place], arrays[place])  # type: ignore[arg-type]


def test_what_is_read_may_be_written_to_without_changing_the_file(path: Path) -> None:
    store = keep(path)
    assert store is not None
    array = store[0]
    assert array is not None
    array[:] = 99
    assert contents(store) == ARRAYS.tolist()


DAMAGES = {
    "cut off": lambda content: content[:-1],
    "longer": lambda content: content + b"\0",
    "empty": lambda content: b"",
    "a bit of the first array": lambda content: bytes([content[0] ^ 1]) + content[1:],
    "a bit of the last": lambda content: content[:23] + bytes([content[23] ^ 128]) + content[24:],
    "a bit of the checksum": lambda content: content[:-1] + bytes([content[-1] ^ 4]),
    "two arrays changed about": lambda content: content[6:12] + content[:6] + content[12:],
}


@pytest.mark.parametrize("damage", list(DAMAGES))
def test_a_damaged_file_is_made_anew(
    path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(path)
    whole = path.read_bytes()
    path.write_bytes(DAMAGES[damage](whole))
    assert contents(keep(path)) == ARRAYS.tolist()
    assert path.read_bytes() == whole
    assert f"{path} is damaged and is made anew" in capsys.readouterr().out


@pytest.mark.parametrize(("limit", "there"), [(BYTES, True), (BYTES - 1, False)])
def test_what_does_not_fit_is_not_kept_and_says_so(
    path: Path, limit: int, there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    other = path.with_name("other.images")
    keep(other)
    assert (keep(path, limit) is not None) == there == path.exists() == (not other.exists())
    said = "has no room for 4 images at 2x3 (0.00 GiB): images are read from their own files"
    assert (said in capsys.readouterr().out) != there


def test_the_files_not_used_for_longest_make_room(path: Path) -> None:
    first, second, third = (path.with_name(f"{name}.images") for name in "abc")
    for file in (first, second, third):
        keep(file)
    for number, file in enumerate((first, second, third)):
        age(file, 1000 - 100 * number)
    keep(first, 3 * BYTES)  # now it is the one used last
    keep(path, 3 * BYTES)
    assert not second.exists()
    assert first.exists() and third.exists() and path.exists()


def test_a_lower_limit_holds_at_the_next_use(path: Path) -> None:
    other = path.with_name("other.images")
    keep(other)
    keep(path)
    keep(path, 2 * BYTES - 1)
    assert path.exists() and not other.exists()


def test_files_of_others_in_the_folder_are_left_alone(path: Path) -> None:
    path.parent.mkdir()
    notes = path.with_name("notes.txt")
    notes.write_text("x" * LIMIT)
    keep(path, BYTES)
    assert notes.exists()


def test_what_a_killed_run_left_is_deleted_and_what_is_being_written_is_not(path: Path) -> None:
    path.parent.mkdir()
    old, fresh = path.with_name("other.1.part"), path.with_name("other.2.part")
    for part in (old, fresh):
        part.touch()
    age(old, cache.LEFT_BEHIND + 60)
    keep(path)
    assert fresh.exists() and not old.exists()


def test_a_disk_is_not_filled_to_the_brim(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache, "SPARE", 1 << 62)
    assert keep(path) is None
    said = capsys.readouterr().out
    assert f"{path} cannot be kept (0.00 GiB and 4294967296 to spare are more than the" in said
    assert "GiB that are free): images are read from their own files" in said


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
    assert list(path.parent.iterdir()) == []


def test_a_file_deleted_by_another_run_is_read_to_the_end(path: Path) -> None:
    store = keep(path)
    path.unlink()
    assert contents(store) == ARRAYS.tolist()


def test_a_file_that_gets_lost_while_it_is_read_is_told_once(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = keep(path)
    assert store is not None
    capsys.readouterr()
    os.truncate(path, 10)
    assert [store[place] is None for place in (0, 1, 2, 0)] == [False, True, True, True]
    said = f"{path} can no longer be read: images are read from their own files\n"
    assert capsys.readouterr().out == said


def test_a_process_that_is_no_fork_reads_the_same(path: Path) -> None:
    packed = pickle.dumps(keep(path))
    assert contents(pickle.loads(packed)) == ARRAYS.tolist()
    path.unlink()
    assert pickle.loads(packed)[0] is None


def test_a_file_that_another_run_made_meanwhile_is_not_replaced(path: Path) -> None:
    """On a network disk its readers would lose it."""
    made = []

    def overtaken() -> list[Pixels]:
        keep(path)
        made.append(path.stat().st_ino)
        return make()

    assert contents(kept(path, 4, SHAPE, overtaken, LIMIT)) == ARRAYS.tolist()
    assert made == [path.stat().st_ino]
    assert [other.name for other in path.parent.iterdir()] == [path.name]


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
if store is None:
    sys.exit(3)
assert all((store[place] == place).all() for place in range(40))
"""


def start(path: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path), how],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_make_the_same_file_at_once_all_read_it(path: Path) -> None:
    processes = [start(path, "go") for _ in range(4)]
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0] * 4
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_a_disk_that_is_full_half_way_leaves_nothing_behind(path: Path) -> None:
    process = start(path, "full")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 3
    assert said.count("batch") > 1
    assert f"{path} cannot be kept (File too large): images are read from their own files" in said
    assert list(path.parent.iterdir()) == []


def test_a_process_that_is_killed_while_it_writes_is_no_obstacle(path: Path) -> None:
    process = start(path, "wait")
    assert process.stdout is not None
    assert process.stdout.readline() == "batch\n"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    (part,) = path.parent.iterdir()
    assert part.suffix == ".part"
    assert contents(keep(path)) == ARRAYS.tolist()
    age(part, cache.LEFT_BEHIND + 60)
    keep(path)
    assert [other.name for other in path.parent.iterdir()] == [path.name]
