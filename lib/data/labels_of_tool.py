"""A labelling tool's files -> the labels of one set of images, though they tell of two."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from lib.config.fields import Config
from lib.data.formats import Format, labels_in
from lib.data.label import Label, Labels
from lib.data.pictures.arrays import ImageFile, composed, image_files, names_of, stem_of
from lib.runtime.errors import InputError


def labels_of_tool(reader: Format, files: dict[str, ImageFile], config: Config) -> Labels:
    """Those of `files`, of data_folder; what is told of images of data_folder_test is left out.

    Where both hold an image of one name, its path tells which is meant; InputError where the file
    of labels has names alone.
    """
    path = Path(config.train_dataframe)
    if not (others := _other_set(files, config)):
        return labels_in(reader, path, files, config)
    both = _by_path([*files.values(), *others.values()])
    labels = labels_in(reader, path, both, config)
    own = _own_names(files)
    by_image: dict[str, Label] = {}
    for name, label in labels.by_image.items():
        if name not in both and name in files and name in others:
            raise InputError(
                f"{config.data_folder} and {config.data_folder_test} both hold {name}, and {path} "
                "may mean either: rename the images of one of them"
            )
        if name not in both or both[name] in own:
            by_image[own[both[name]] if name in both else name] = label
    return labels._replace(by_image=by_image)


def _other_set(files: dict[str, ImageFile], config: Config) -> dict[str, ImageFile]:
    """The images of data_folder_test that are none of `files`."""
    if config.data_folder_test in ("None", config.data_folder):
        return {}
    ours = {file.path.absolute() for file in files.values()}
    others = image_files(Path(config.data_folder_test))
    return {name: file for name, file in others.items() if file.path.absolute() not in ours}


def _by_path(files: Iterable[ImageFile]) -> dict[str, ImageFile]:
    """By as much of the path's end, with and without suffix, as means one of them."""
    ends: dict[str, set[ImageFile]] = defaultdict(set)
    for file in set(files):
        folders = [composed(part) for part in file.path.absolute().parent.parts]
        names = {stem_of(file)} | ({composed(file.path.name)} if file.frame is None else set())
        for name in names:
            for k in range(len(folders) + 1):
                ends["/".join([*folders[k:], name])].add(file)
    return {end: next(iter(of)) for end, of in ends.items() if len(of) == 1}


def _own_names(files: dict[str, ImageFile]) -> dict[ImageFile, str]:
    """The shortest name of each, with its suffix where it has one of its own."""
    shortest = {file: name for name, file in names_of(files).items()}
    full = {file: f"{name}{file.path.suffix}" for file, name in shortest.items()}
    return {f: full[f] if files.get(full[f]) == f else name for f, name in shortest.items()}
