"""Files of each format with something wrong in them, read as 01 reads them."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from lib.data.pictures.arrays import (
    UnusableImage,
    images_of_file,
    raw_values,
    read_picture,
    sha_of_image,
    spacing_of,
)
from lib.data.pictures.clips import frames_of
from lib.data.pictures.dicom_notes import notes_on
from tests.hammer.child import Work, attempts
from tests.hammer.mutations import changed
from tests.hammer.seeds import PICTURES, VIDEOS, Write, contents
from tests.hammer.table import Fault, Try

BATCH = 20  # tries of one child
ENOUGH = 5000
LOOKED_AT = 3  # frames of a file
HOLDS = "an answer or an error of one line, in 10 s and 1 GiB"


def read_all(path: Path) -> None:
    """What 01 does with a picture: frames, who is on it, values as mask and as image."""
    images = images_of_file(path)
    notes_on(images[:LOOKED_AT])
    for image in images[:LOOKED_AT]:
        with suppress(UnusableImage):  # a picture may be no mask
            raw_values(path, image.frame)
        read_picture(image)
        sha_of_image(image)
        spacing_of(image)


def read_clip(path: Path) -> None:
    frames_of(path, path.parent / "frames")


def tries(
    seeds: list[tuple[str, Write]],
    read: Callable[[Path], None],
    folder: Path,
    rng: random.Random,
) -> Iterator[Try]:
    """For ever; a file that lost something stays in the folder."""
    sound = contents(seeds, folder)
    others = [content for _, content in sound]
    number = 0
    while True:
        works: list[Work] = []
        for _ in range(BATCH):
            name, content = rng.choice(sound)
            number += 1
            path = folder / str(number) / name
            path.parent.mkdir()
            path.write_bytes(changed(content, others, rng))
            for beside in folder.glob("a.raw*"):  # the data of a volume
                (path.parent / beside.name).symlink_to(beside)
            works.append((str(path), partial(read, path)))
        for one in attempts(works):
            if not one.lost:
                _remove(Path(one.what).parent)
            yield one


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()
    folder.rmdir()


FAULTS = [
    Fault(f"malformed {name}", HOLDS, partial(tries, seeds, read_all), ENOUGH)
    for name, seeds in PICTURES.items()
] + [Fault("malformed video", HOLDS, partial(tries, VIDEOS, read_clip), ENOUGH)]
