"""Files are whole or not there, whatever the disk says and whenever the power goes."""

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.runtime import files
from lib.runtime.errors import InputError, NotWritten
from lib.runtime.files import existing, intact, remove_parts, written_whole


def write(path: Path, content: bytes = b"whole", summed: bool = False) -> None:
    with written_whole(path, summed) as file:
        file.write(content)


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def synced(number: int) -> None:
        happened.append(("sync", Path(f"/proc/self/fd/{number}").readlink().name))
        fsync(number)

    def renamed(source: Path, target: Path) -> None:
        happened.append(("name", Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write(tmp_path / "new" / "file", summed=True)
    assert happened == [
        ("sync", tmp_path.name),  # which has a new folder
        ("sync", ".file.part"),
        ("sync", ".checksums.json.part"),
        ("name", "checksums.json"),
        ("sync", "new"),
        ("name", "file"),
        ("sync", "new"),
    ]


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_refuses_at_the_end_is_told_and_the_file_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    path = tmp_path / "file"
    write(path, b"before")

    def refuse(_: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(NotWritten, match=r"/file: cannot be written \(.*Make room, and start"):
        write(path)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_told_with_the_bytes_that_are_missing(small_disk: Path) -> None:
    path = small_disk / "file"
    write(path, b"before")
    with pytest.raises(NotWritten, match=r"disk/file: .*at least 13[0-9],\d{3} bytes are missing"):
        write(path, bytes(200_000))
    words = r"disk/file: .*at least [\d,]+ bytes are missing"
    with pytest.raises(NotWritten, match=words), written_whole(path) as file:
        torch.save({"weights": torch.zeros(100_000)}, file)  # which has a word of its own
    assert [(one.name, one.read_bytes()) for one in small_disk.iterdir()] == [("file", b"before")]


def test_an_error_of_who_writes_stays_that_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="elsewhere"), written_whole(tmp_path / "file"):
        (tmp_path / "elsewhere").read_bytes()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage", [lambda old: old[:-1], lambda old: bytes([old[0] ^ 1]) + old[1:]]
)
def test_a_file_that_is_not_as_it_was_written_is_refused_with_the_step(
    tmp_path: Path, damage: Any
) -> None:
    path = tmp_path / "file"
    write(path, summed=True)
    assert existing(path, "01_prepare_folds.py") == path
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"/file is not as it was written.*run 01_prepare_folds"):
        existing(path, "01_prepare_folds.py")
    write(path, summed=True)
    assert intact(path)


def test_a_worker_that_ends_while_a_file_is_written_is_no_fault_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), written_whole(tmp_path / "file"):
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")
    assert list(tmp_path.iterdir()) == []


def test_a_kill_between_the_hash_and_the_name_leaves_a_file_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, b"before", summed=True)
    note = files._note

    def killed(*arguments: Any) -> None:
        note(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "_note", killed)
    for content in (b"1", b"2"):
        with pytest.raises(KeyboardInterrupt):
            write(path, content, summed=True)
    assert path.read_bytes() == b"before"
    assert intact(path)


def test_files_of_older_runs_and_of_other_names_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path / "known", summed=True)
    (tmp_path / "older").write_bytes(b"")
    assert intact(tmp_path / "older")
    (tmp_path / "known").rename(tmp_path / "renamed")
    assert intact(tmp_path / "renamed", noted_as="known")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"file": 3}', b"\xff"])
def test_damaged_hashes_are_named(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "file", summed=True)
    (tmp_path / "checksums.json").write_bytes(content)
    with pytest.raises(InputError, match=r"checksums.json is damaged: delete it"):
        existing(tmp_path / "file", "02_train.py")


def test_the_hashes_are_those_of_the_last_writings(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "file", b"%d" % number, summed=True)
    (shas,) = json.loads((tmp_path / "checksums.json").read_bytes()).values()
    assert shas == [files.sha_of(b"%d" % number) for number in (5, 4, 3, 2)]


def test_half_written_files_of_killed_runs_are_deleted_and_no_others(tmp_path: Path) -> None:
    for name in (".model.pt.part", "model.pt", ".lock", "own.part"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".frames.part").mkdir()  # of make_once, which has a lock of its own
    remove_parts(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".frames.part", ".lock", "model.pt", "own.part"]
