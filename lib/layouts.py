"""A folder of data -> the data settings that describe it."""

from pathlib import Path

TABLES = ("train.pq", "train.parquet", "train.csv")


def find_layout(folder: Path) -> dict[str, str]:
    """Recognises the layout of `folder` and gives the data settings, by name, that fit it.

    Known are the competition's folder (train/, train_masks.csv, test/, sample_submission.csv) and
    Hydrogen Torch's (train.pq or train.csv beside images/, test.pq or test.csv where there is a
    test set). Raises ValueError that says what was looked for.
    """
    if not folder.is_dir():
        raise ValueError(f"data={folder}: there is no such folder")
    if (folder / "train").is_dir():
        return _kaggle(folder)
    if any((folder / table).is_file() for table in TABLES) and (folder / "images").is_dir():
        return _hydrogen_torch(folder)
    found = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
    raise ValueError(
        f"data={folder}: neither the competition's layout (train/, train_masks.csv, test/, "
        f"sample_submission.csv) nor Hydrogen Torch's (train.pq or train.csv, and images/); "
        f"it holds {found}"
    )


def _kaggle(folder: Path) -> dict[str, str]:
    has_test = (folder / "test").is_dir() or (folder / "sample_submission.csv").is_file()
    return {
        "train_dataframe": _file_or_none(folder, "train_masks.csv"),
        "data_folder": str(folder / "train"),
        "test_dataframe": _file_or_none(folder, "sample_submission.csv"),
        "data_folder_test": str(folder / ("test" if has_test else "train")),
    }


def _hydrogen_torch(folder: Path) -> dict[str, str]:
    return {
        "train_dataframe": _file_or_none(folder, *TABLES),
        "data_folder": str(folder / "images"),
        "test_dataframe": _file_or_none(folder, "test.pq", "test.parquet", "test.csv"),
        "data_folder_test": str(folder / "images"),
    }


def _file_or_none(folder: Path, *names: str) -> str:
    """The first of the names that is a file there, else Hydrogen Torch's word for none."""
    return next((str(folder / name) for name in names if (folder / name).is_file()), "None")
