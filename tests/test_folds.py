import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from lib.config import InputError
from lib.folds import assign_folds, audit, merge_twins


def table(subjects: int = 20, seed: int = 0) -> pd.DataFrame:
    """Subjects of 10 to 30 images, each with its own share of images with a nerve."""
    random = np.random.default_rng(seed)
    rows = []
    for subject in range(subjects):
        share = random.beta(1.5, 2)
        for number in range(random.integers(10, 30)):
            area = int(random.integers(2000, 9000)) if random.random() < share else 0
            rows.append(
                {
                    "image": f"{subject}_{number}",
                    "subject": str(subject),
                    "group": str(subject),
                    "rle_mask": f"1 {area}" if area else "",
                    "height": 420,
                    "width": 580,
                    "sha": f"{subject}-{number}",
                }
            )
    return pd.DataFrame(rows)


def test_no_group_stands_in_two_folds_and_every_image_in_one() -> None:
    images = table()
    fold = assign_folds(images, 5)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert (images.assign(fold=fold).groupby("group")["fold"].nunique() == 1).all()


def spread_of_nerve_share(images: pd.DataFrame, fold: np.ndarray) -> float:
    share = (images["rle_mask"] != "").groupby(fold).mean()
    return share.max() - share.min()


def test_folds_are_balanced_better_than_by_group_size_alone() -> None:
    ours, plain = 0.0, 0.0
    for seed in range(10):
        images = table(40, seed)
        ours += spread_of_nerve_share(images, assign_folds(images, 5))
        by_size = np.empty(len(images), dtype=int)
        for fold, (_, rows) in enumerate(GroupKFold(5).split(images, groups=images["group"])):
            by_size[rows] = fold
        plain += spread_of_nerve_share(images, by_size)
    assert ours < plain / 2


def test_the_order_of_rows_changes_no_fold() -> None:
    images = table()
    shuffled = images.sample(frac=1, random_state=3).reset_index(drop=True)
    first = dict(zip(images["image"], assign_folds(images, 5), strict=True))
    second = dict(zip(shuffled["image"], assign_folds(shuffled, 5), strict=True))
    assert first == second


def test_too_few_groups_are_named() -> None:
    with pytest.raises(InputError, match="3 groups cannot make n_folds=5"):
        assign_folds(table(3), 5)


def test_as_few_images_as_folds_can_be_divided() -> None:
    images = table(5).drop_duplicates("subject")
    assert sorted(assign_folds(images, 5)) == [0, 1, 2, 3, 4]


def test_no_fold_is_ever_empty() -> None:
    """One huge group and small ones: each fold has an image, or it is refused."""
    for seed in range(20):
        images = table(6, seed)
        images = images[(images["subject"] == "0") | (images["image"].str.endswith("_0"))]
        try:
            assert len(set(assign_folds(images, 5))) == 5
        except InputError as error:
            assert "too unequal" in str(error)


def test_images_that_are_all_empty_can_be_divided() -> None:
    images = table().assign(rle_mask="")
    assert set(assign_folds(images, 5)) == {0, 1, 2, 3, 4}


def test_groups_that_share_an_image_file_become_one() -> None:
    images = pd.DataFrame({"group": ["17", "17", "18", "5", "18", "9"], "sha": list("abacde")})
    assert merge_twins(images).tolist() == ["17+18", "17+18", "17+18", "5", "17+18", "9"]


def test_the_audit_counts_what_leaks() -> None:
    images = table(4).assign(fold=0)
    images.loc[images["subject"].isin(["1", "2"]), "fold"] = 1
    clean = audit(images, "grouped")
    assert (clean["subjects_split"], clean["groups_split"]) == (0, 0)
    assert clean["identical_images_split"] == 0
    images.loc[images["image"] == "1_3", "fold"] = 0
    images.loc[images["image"] == "2_5", "sha"] = "0-1"
    leaking = audit(images, "kfold")
    assert leaking["subjects_split"] == 1
    assert leaking["identical_images"] == [["0_1", "2_5"]]
    assert leaking["identical_images_split"] == 1


def test_the_audit_says_null_where_no_subject_is_known() -> None:
    findings = audit(table(4).assign(fold=0, subject=""), "kfold")
    assert findings["subjects"] is None
    assert findings["subjects_split"] is None
