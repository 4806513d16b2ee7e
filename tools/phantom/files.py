"""Contents of files, by their paths -> a folder, or a zip in it. The same bytes each time."""

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Write = Callable[[str, bytes], None]


@contextmanager
def opened(folder: Path, pack: str) -> Iterator[Write]:
    """Writes files below `folder`, or into the zip `pack` there, which appears when all is in.

    An empty `pack` means no zip. What was cut off leaves files whose names end in .part.
    """
    if not pack:
        yield lambda path, content: _write(folder / path, content)
        return
    unfinished = folder / f"{pack}.part"
    with zipfile.ZipFile(unfinished, "w") as archive:
        yield lambda path, content: archive.writestr(_member(path), content)
    unfinished.replace(folder / pack)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _member(path: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16
    return member
