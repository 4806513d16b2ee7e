"""Who is on each image, where no table tells: by folders, or by names of the form PERSON_FRAME."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lib.config.fields import Config
from lib.runtime.errors import InputError

# Folders that divide images and name nobody.
NO_PEOPLE = re.compile(
    r"images?|imgs?|pictures?|data(set)?|train(ing)?|val(id|idation)?|test(ing)?|fold.?\d*|"
    r"benign|malignant|normal|abnormal|positive|negative|left|right",
    re.IGNORECASE,
)
# Up to the first part with a digit, with a part for the frame behind it: 17_3, patient0001_2CH_ED.
PERSON_FRAME = re.compile(r"((?:[^\W\d_]+[^\w.]?[_ -])*[^\W\d_]*\d+[^\W_]*)[_-].+")

# A year or a day, which cameras and scanners put into names.
DATE = re.compile(r"\D*(19|20)\d\d([-_]?\d\d){0,2}\D*")
STACK = re.compile(r"\.(tiff?|gif|nii|nii\.gz|nrrd|nhdr|mha|mhd)#\d+$", re.IGNORECASE)


class People(NamedTuple):
    """The person of each image, and what told it; nobody where nothing does."""

    by_image: dict[str, str]
    told: str


def people_of(paths: Mapping[str, str], config: Config) -> People:
    """`paths` are the images' paths below data_folder, by name.

    subject_pattern decides where it is set: its first group, found in the path without suffix, is
    the person. Else each folder is one where images lie in several, or else a name's beginning,
    where several images share it. To take too few people for several never flatters a score.
    """
    pattern = config.subject_pattern
    if pattern == "none" or not paths:
        return People({}, "")
    if pattern:
        return People(_by_pattern(paths, pattern), f"subject_pattern={pattern}")
    folders = {name: path.rpartition("/")[0] for name, path in paths.items()}
    if _tells(list(folders.values())) and not any(map(_names_nobody, set(folders.values()))):
        return People(folders, "the folders of the images")
    matches = {name: PERSON_FRAME.fullmatch(_stem(path)) for name, path in paths.items()}
    begins = {name: match[1] for name, match in matches.items() if match}
    dates = all(DATE.fullmatch(begin) for begin in begins.values())
    if len(begins) == len(paths) and _tells(list(begins.values())) and not dates:
        return People(begins, "the names, PERSON_FRAME")
    if all(STACK.search(path) for path in paths.values()):
        stacks = {name: path.rpartition("#")[0] for name, path in paths.items()}
        return People(stacks, "the files, each a stack of one person")
    return People({}, "")


def _by_pattern(paths: Mapping[str, str], pattern: str) -> dict[str, str]:
    try:
        matches = {name: re.search(pattern, _stem(path, True)) for name, path in paths.items()}
    except re.error as error:
        raise InputError(f"subject_pattern={pattern}: not a regular expression: {error}") from None
    if missing := [
        name
        for name, match in matches.items()
        if match is None or match[match.re.groups and 1] is None
    ]:
        raise InputError(
            f"subject_pattern={pattern} is not found in the names of {len(missing)} images, such "
            f"as {missing[0]}"
        )
    return {name: match[match.re.groups and 1] for name, match in matches.items() if match}


def _stem(path: str, folders: bool = False) -> str:
    stem = re.sub(r"(\.nii)?\.[^./]{1,8}(?=$|#)", "", path)
    return stem if folders else stem.rpartition("/")[2]


def _tells(people: Sequence[str]) -> bool:
    """Whether there are several, and most have several images."""
    several = len(set(people))
    return 1 < several <= len(people) / 2


def _names_nobody(folder: str) -> bool:
    return all(NO_PEOPLE.fullmatch(part) for part in folder.split("/")) or not folder
