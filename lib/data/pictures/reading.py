"""Images read side by side; what is wrong with them is told at once, and by name."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from lib.artifacts.probabilities import NOT_IMAGES
from lib.config.fields import Config
from lib.data.pictures.arrays import (
    Grey,
    ImageFile,
    UnusableImage,
    names_of,
)
from lib.data.pictures.thumbnails import Texture, texture
from lib.data.pictures.tree import tree_of
from lib.data.pictures.volumes import files_of, suffix_of
from lib.runtime.errors import InputError
from lib.runtime.progress import progress
from lib.runtime.threads import READERS

ERRORS_SHOWN = 20
# Tables, labels and notes, which nobody takes for images.
TEXTS = {".csv", ".tsv", ".txt", ".pq", ".parquet", ".json", ".xml", ".yaml", ".yml"}
TEXTS |= {".md", ".html"}


class Images(NamedTuple):
    """All that 01 knows of the images of a folder."""

    table: pd.DataFrame  # a row an image that can be used
    textures: list[Texture]  # one a row, for lib/folds/duplicates.py; [] where none is compared
    unusable: dict[str, str]  # the others: why
    classes: list[str]  # of the masks
    doubts: Sequence[str] = ()  # about the masks, each a sentence
    settled: Mapping[str, Any] = MappingProxyType({})  # settings that the data themselves tell


def folder_of(path: str, name: str) -> Path:
    if path == "None":
        raise InputError(f"{name} is not set: give data=PATH, or {name}=FOLDER")
    if not Path(path).is_dir():
        raise InputError(f"{name}={path}: there is no such folder")
    return Path(path)


def in_threads(
    read: Callable[[Any], Any], items: list[Any], title: str, unusable: dict[str, str]
) -> list[Any]:
    """read(item) of every item that can be used, in their order; the others go to `unusable`."""

    def attempt(item: Any) -> Any:
        try:
            return read(item)
        except UnusableImage as error:
            return error
        except OSError as error:  # it has gone, or may not be read
            return UnusableImage(f"cannot be read ({error.strerror})")

    with ThreadPoolExecutor(READERS) as pool:
        attempts = pool.map(attempt, items)
        results = list(progress(attempts, f"reading {title}", len(items)))
    good = []
    for item, result in zip(items, results, strict=True):
        if isinstance(result, UnusableImage):
            unusable[item] = str(result)
        else:
            good.append(result)
    return good


def about(pixels: Grey, compared: bool = True) -> dict[str, Any]:
    """`compared` with other images, and so with its texture, which takes 12 KiB."""
    found = {"height": pixels.shape[0], "width": pixels.shape[1]}
    return found | {"texture": texture(pixels)} if compared else found


def images_of(rows: list[dict[str, Any]], unusable: dict[str, str], classes: list[str]) -> Images:
    textures = [row.pop("texture") for row in rows if "texture" in row]
    return Images(pd.DataFrame(rows), textures, unusable, classes)


def name_errors(images: Iterable[str], files: dict[str, ImageFile], folder: Path) -> dict[str, str]:
    """What is wrong with the names, before any file is read."""
    errors: dict[str, str] = {}
    named: dict[ImageFile, str] = {}
    seen: set[str] = set()
    for image in images:
        if image in NOT_IMAGES:
            errors[image] = "the name is kept for the pipeline's own use: rename it"
        elif image not in files:
            errors[image] = f"there is no such image in {folder}{_near(image, files, errors)}"
        elif (other := named.setdefault(files[image], image)) == image and image in seen:
            errors[image] = "stands in the table twice"
        elif other != image:
            errors[image] = errors[other] = f"{other} and {image} are the same file"
        seen.add(image)
    return errors


def _near(image: str, files: dict[str, ImageFile], errors: dict[str, str]) -> str:
    """A hint, for as many as are shown: it takes a while."""
    if len(errors) >= ERRORS_SHOWN:
        return ""
    near = [name for name in files if name.casefold() == image.casefold()]
    near = near or difflib.get_close_matches(image, files, n=1, cutoff=0.8)
    return f" (near: {near[0]})" if near else ""


def stop_or_tell(images: Images, config: Config, what: str) -> None:
    if not images.unusable:
        return
    if not config.quarantine:
        raise_all(images.unusable, f"{what} cannot be used (quarantine=true leaves them out)")
    if images.table.empty:
        raise_all(images.unusable, f"{what} cannot be used, and no other is left")
    print(f"LEFT OUT: {len(images.unusable)} {what} cannot be used and are left out, such as")
    for image, reason in list(images.unusable.items())[:3]:
        print(f"  {image}: {reason}")


def raise_all(errors: Mapping[str, str], title: str) -> None:
    """InputError of the first 20 of {image: what is wrong}, and their count; none where empty."""
    if errors:
        lines = [f"{image}: {error}" for image, error in list(errors.items())[:ERRORS_SHOWN]]
        if (more := len(errors) - ERRORS_SHOWN) > 0:
            lines.append(f"... and {more} more")
        raise InputError("\n  ".join([f"{len(errors)} {title}:", *lines]))


def say_unlisted(images: Iterable[str], files: dict[str, ImageFile], origin: str) -> None:
    """Files that no row names are no error: a folder often holds the images of several tables."""
    used = {files[image] for image in images if image in files}
    unlisted = sorted(name for name, file in names_of(files).items() if file not in used)
    if unlisted:
        shown = ", ".join(unlisted[:3])
        print(f"{len(unlisted)} image files are not in {origin} and stay unused: {shown} ...")


def say_no_images(folder: Path, files: dict[str, ImageFile], others: Collection[Path] = ()) -> None:
    """Files of other kinds, which a person may take for images; `others` are known to be none."""
    known = {path for file in set(files.values()) for path in files_of(file.path)} | set(others)
    found = tree_of(folder).files
    unknown = [path.name for path in found if path not in known and suffix_of(path) not in TEXTS]
    if unknown:
        print(f"{len(unknown)} files in {folder} are no images: {unknown[0]} ...")
