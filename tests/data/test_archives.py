import os
import stat
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib.data import archives
from lib.data.archives import ArchiveError, unpacked
from lib.runtime.files import LOCK
from tests.conftest import REPOSITORY

Change = Callable[[zipfile.ZipInfo], None]


def write(path: Path, members: dict[str, bytes], change: Change | None = None) -> Path:
    """A zip of these members; `change` may set what their entries say before they are written."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if change:
                change(info)
            archive.writestr(info, content)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


CONTENT = {"train/1_1.tif": b"\0" * 5000, "train/1_1_mask.tif": b"", "train_masks.csv": b"a,b\n"}


def test_the_folder_holds_what_was_packed_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = unpacked(write(tmp_path / "data.zip", CONTENT), tmp_path / "new" / "data")
    assert files_of(folder) == CONTENT
    assert [path.name for path in folder.parent.iterdir() if path != folder] == [LOCK]
    assert folder.name.startswith("data-") and len(folder.name) == len("data-") + 12


def test_what_is_unpacked_already_is_not_unpacked_again(tmp_path: Path) -> None:
    archive = write(tmp_path / "data.zip", CONTENT)
    folder = unpacked(archive, tmp_path)
    before = folder.stat().st_ino, (folder / "train_masks.csv").stat().st_mtime_ns
    assert unpacked(archive, tmp_path) == folder
    assert (folder.stat().st_ino, (folder / "train_masks.csv").stat().st_mtime_ns) == before


def test_another_content_goes_to_another_folder(tmp_path: Path) -> None:
    first = unpacked(write(tmp_path / "data.zip", CONTENT), tmp_path)
    changed = CONTENT | {"train_masks.csv": b"a,c\n"}
    second = unpacked(write(tmp_path / "data.zip", changed), tmp_path)
    assert files_of(first) == CONTENT
    assert files_of(second) == changed


def test_a_single_top_folder_is_entered_whatever_finder_and_explorer_added(tmp_path: Path) -> None:
    members = {
        "data/train/1.png": b"1",
        "data/Thumbs.db": b"x",
        "data/.DS_Store": b"x",
        "__MACOSX/data/._1.png": b"x",
        ".DS_Store": b"x",
        "data/": b"",
    }
    folder = unpacked(write(tmp_path / "data.zip", members), tmp_path)
    assert folder.name == "data"
    assert files_of(folder) == {"train/1.png": b"1"}
    (folder.parent / ".DS_Store").touch()
    assert unpacked(tmp_path / "data.zip", tmp_path) == folder


def test_an_archive_in_the_archive_stays_a_file(tmp_path: Path) -> None:
    inner = write(tmp_path / "train.zip", CONTENT).read_bytes()
    folder = unpacked(write(tmp_path / "data.zip", {"train.zip": inner}), tmp_path)
    assert files_of(folder) == {"train.zip": inner}


def test_names_in_other_letters_are_kept(tmp_path: Path) -> None:
    members = {"снимки/нерв 1.png": b"1", "images/é.png": b"2", "图.png": b"3"}
    assert files_of(unpacked(write(tmp_path / "data.zip", members), tmp_path)) == members


def test_names_in_utf8_that_are_not_marked_so_are_read_as_finder_means_them(tmp_path: Path) -> None:
    path = write(tmp_path / "data.zip", {"aé/1.png": b"1", "b.png": b"2"})
    content = path.read_bytes()
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # the flags in either header
        place = content.index(signature) + at
        flags = int.from_bytes(content[place : place + 2], "little") & ~archives.UTF8
        content = content[:place] + flags.to_bytes(2, "little") + content[place + 2 :]
    path.write_bytes(content)
    assert set(files_of(unpacked(path, tmp_path))) == {"aé/1.png", "b.png"}


def test_nothing_that_comes_out_can_be_executed(tmp_path: Path) -> None:
    def executable(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFREG | 0o6777) << 16

    folder = unpacked(
        write(tmp_path / "data.zip", {"a/run.sh": b"", "b": b""}, executable), tmp_path
    )
    assert {path.stat().st_mode & 0o7111 for path in (folder / "a/run.sh", folder / "b")} == {0}


def refusal(archive: Path, into: Path) -> str:
    """The message, after making sure that nothing but the lock was left behind."""
    with pytest.raises(ArchiveError) as error:
        unpacked(archive, into)
    if into.is_dir():
        assert {path.name for path in into.iterdir()} <= {LOCK}
    assert str(archive) in str(error.value)
    return str(error.value)


OUTSIDE = ["../a", "a/../../b", "a/..", "../", "/etc/a", "//host/a"]
OUTSIDE += ["C:/a", "c:a", "a\\b", "..\\a"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_outside_the_folder_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    def rename(info: zipfile.ZipInfo) -> None:
        info.filename = info.filename.replace("NAME", name)

    archive = write(tmp_path / "data.zip", {"good.png": b"1", "NAME": b"2"}, rename)
    message = refusal(archive, tmp_path / "into")
    assert f"member {name!r} would be written outside the folder" in message


@pytest.mark.parametrize("names", [["a.png", "./a.png"], ["Train/a.png", "train/A.png"]])
def test_members_that_some_disks_cannot_tell_apart_are_refused(
    names: list[str], tmp_path: Path
) -> None:
    archive = write(tmp_path / "data.zip", dict.fromkeys(names, b"1"))
    assert "are one file on some disks" in refusal(archive, tmp_path / "into")


def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's, of the double name
        archive.writestr("a.png", "1")
        archive.writestr("a.png", "2")
    assert "'a.png' and 'a.png' are one file" in refusal(tmp_path / "data.zip", tmp_path / "into")


def patched(path: Path, signature: bytes, at: int, value: int, length: int) -> Path:
    """The archive with a number of its last header of this signature overwritten."""
    content = bytearray(path.read_bytes())
    place = content.rindex(signature) + at
    content[place : place + length] = value.to_bytes(length, "little")
    path.write_bytes(content)
    return path


DIRECTORY = b"PK\1\2"  # its entries hold flags at 8, method at 10, checksum at 16, sizes at 20, 24


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = patched(write(tmp_path / "data.zip", {"a.png": b"1"}), DIRECTORY, 8, 1, 2)
    assert "member 'a.png' is encrypted" in refusal(archive, tmp_path / "into")


@pytest.mark.parametrize(
    ("at", "value"),
    [(16, 1234), (24, 3999), (24, 0), (10, 0), (20, 5), (42, 7)],
    ids=["checksum", "smaller", "empty", "method", "cut short", "elsewhere"],
)
def test_a_member_that_is_not_what_the_archive_says_is_refused(
    at: int, value: int, tmp_path: Path
) -> None:
    members = {"good.png": b"good", "a.png": os.urandom(4000)}
    archive = patched(
        write(tmp_path / "data.zip", members), DIRECTORY, at, value, 2 if at == 10 else 4
    )
    message = refusal(archive, tmp_path / "into")
    assert "not a zip archive, or not the whole of one" in message
    assert "download it again" in message


@pytest.mark.parametrize("kept", [0, 1, 30, 100, 300, -1])
def test_half_an_archive_is_refused(kept: int, tmp_path: Path) -> None:
    archive = write(tmp_path / "data.zip", {"a.png": os.urandom(400), "b.png": b"1"})
    archive.write_bytes(archive.read_bytes()[:kept])
    assert "not the whole of one" in refusal(archive, tmp_path / "into")


def test_an_archive_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "(No such file" in refusal(tmp_path / "no.zip", tmp_path / "into")
    (tmp_path / "folder.zip").mkdir()
    assert "(Is a directory" in refusal(tmp_path / "folder.zip", tmp_path / "into")


@pytest.mark.parametrize("members", [{}, {"a/": b""}, {"__MACOSX/a": b"1"}])
def test_an_archive_without_a_file_is_refused(members: dict[str, bytes], tmp_path: Path) -> None:
    archive = write(tmp_path / "data.zip", members)
    assert "there is no file in it" in refusal(archive, tmp_path / "into")


def test_more_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = write(tmp_path / "data.zip", CONTENT)
    monkeypatch.setattr(archives, "LIMIT", 5004)
    assert files_of(unpacked(archive, tmp_path / "as many as may be")) == CONTENT
    monkeypatch.setattr(archives, "LIMIT", 5003)
    assert "would unpack to 5,004 bytes" in refusal(archive, tmp_path / "into")


def test_more_than_the_disk_has_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = write(tmp_path / "data.zip", CONTENT)
    into = tmp_path / "into"
    usage = type("Usage", (), {"free": 5003})
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: usage)
    assert f"{into} has room for 5,003" in refusal(archive, into)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    archive = write(tmp_path / "data.zip", CONTENT)
    (tmp_path / "file").touch()
    into = tmp_path / "file" / "into"
    assert f"cannot be unpacked into {into} (Not a directory)" in refusal(archive, into)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from lib.data.archives import unpacked
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
unpacked(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def in_a_process(code: str, *arguments: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    archive = write(tmp_path / "data.zip", CONTENT)
    _, message = in_a_process(FULL_DISK, archive, tmp_path / "into").communicate()
    assert (
        f"ArchiveError: {archive}: cannot be unpacked into {tmp_path / 'into'} (File too" in message
    )
    assert [path.name for path in (tmp_path / "into").iterdir()] == [LOCK]


KILLED = """
import os, sys
from pathlib import Path
from lib.data import archives
from lib.runtime import files
files.os.sync = lambda: os.kill(os.getpid(), 9)
archives.unpacked(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path: Path) -> None:
    archive, into = write(tmp_path / "data.zip", CONTENT), tmp_path / "into"
    assert in_a_process(KILLED, archive, into).wait() == -9
    left = [path for path in into.iterdir() if path.is_dir()]
    assert [path.suffix for path in left] == [".part"]
    folder = unpacked(archive, into)
    assert files_of(folder) == CONTENT
    assert [path for path in into.iterdir() if path.is_dir()] == [folder]


UNPACK = """
import sys
from pathlib import Path
from lib.data.archives import unpacked
unpacked(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_runs_that_start_at_once_share_one_folder(tmp_path: Path) -> None:
    members = {f"{number}.png": os.urandom(5000) for number in range(300)}
    archive, into = write(tmp_path / "data.zip", members), tmp_path / "into"
    runs = [in_a_process(UNPACK, archive, into) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert files_of(unpacked(archive, into)) == members
    assert len([path for path in into.iterdir() if path.is_dir()]) == 1


def test_importing_the_module_brings_in_neither_torch_nor_pandas(tmp_path: Path) -> None:
    code = "import sys, lib.data.archives; sys.exit(bool({'torch', 'pandas'} & set(sys.modules)))"
    assert in_a_process(code).wait() == 0


@settings(deadline=None)
@example(changes={260: 0})  # a name that begins with a zero
@given(changes=st.dictionaries(st.integers(0, 400), st.integers(0, 255), min_size=1, max_size=4))
def test_any_bytes_changed_give_a_refusal_or_whole_files(
    changes: dict[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    archive = write(
        folder / "data.zip", {"a/1.png": b"1" * 90, "a/2.png": bytes(range(99)), "b": b""}
    )
    content = bytearray(archive.read_bytes())
    for place, value in changes.items():
        content[place % len(content)] = value
    archive.write_bytes(content)
    try:
        found = files_of(unpacked(archive, folder / "into"))
    except ArchiveError:
        return
    assert set(found.values()) <= {b"1" * 90, bytes(range(99)), b""}
