import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from lib.artifacts.caveats import sentence
from lib.artifacts.folds import TRAINING_ONLY, training_rows, unseen_rows
from lib.config.fields import Config
from lib.folds.assign import assign_folds, assign_groups
from lib.folds.audit import leaks, shared_by_folds
from lib.runtime.errors import InputError

FIVE = Config()
NO_PAIRS = pd.DataFrame({"a": [], "b": []}, dtype=int)


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
                    "told_group": "",
                    "loop": "",
                    "told_fold": str(subject % 5),
                    "validation": subject == 3,
                    "rle_mask": f"1 {area}" if area else "",
                    "height": 420,
                    "width": 580,
                    "weight": 1.0,
                }
            )
    return pd.DataFrame(rows)


def pairs(*rows: tuple[int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["a", "b"]).assign(similarity=1.0)


def test_no_group_stands_in_two_folds_and_every_image_in_one() -> None:
    images = table()
    fold = assign_folds(images, FIVE)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert (images.assign(fold=fold).groupby("group")["fold"].nunique() == 1).all()


def spread_of_nerve_share(images: pd.DataFrame, fold: np.ndarray) -> float:
    share = (images["rle_mask"] != "").groupby(fold).mean()
    return share.max() - share.min()


def test_folds_are_balanced_far_better_than_by_group_size_alone() -> None:
    ours, plain = 0.0, 0.0
    for seed in range(5):
        images = table(40, seed)
        ours += spread_of_nerve_share(images, assign_folds(images, FIVE))
        by_size = np.empty(len(images), dtype=int)
        for fold, (_, rows) in enumerate(GroupKFold(5).split(images, groups=images["group"])):
            by_size[rows] = fold
        plain += spread_of_nerve_share(images, by_size)
    assert ours < plain / 5


def test_the_order_of_rows_and_the_seed_change_no_fold() -> None:
    images = table()
    shuffled = images.sample(frac=1, random_state=3).reset_index(drop=True)
    first = dict(zip(images["image"], assign_folds(images, FIVE), strict=True))
    second = dict(zip(shuffled["image"], assign_folds(shuffled, Config(seed=7)), strict=True))
    assert first == second


def test_a_single_group_is_named_with_what_to_do() -> None:
    with pytest.raises(InputError, match=r"all \d+ images are of one group, .*group_fold_column"):
        assign_folds(table(3).assign(group="ANON"), FIVE)


def test_too_few_groups_are_named() -> None:
    with pytest.raises(InputError, match="3 groups cannot make 5 folds"):
        assign_folds(table(3), FIVE)


def test_no_fold_is_ever_empty_though_one_group_is_huge() -> None:
    for seed in range(5):
        images = table(6, seed)
        images = images[(images["subject"] == "0") | (images["image"].str.endswith("_0"))]
        assert len(set(assign_folds(images, FIVE))) == 5


def test_images_that_are_all_empty_can_be_divided() -> None:
    assert set(assign_folds(table().assign(rle_mask=""), FIVE)) == {0, 1, 2, 3, 4}


def test_each_class_is_balanced() -> None:
    """A vessel in every image of the even subjects: each of five folds gets two of those ten."""
    images = table(20).rename(columns={"rle_mask": "rle_mask_nerve"})
    even = images["subject"].astype(int) % 2 == 0
    images["rle_mask_vessel"] = np.where(even, "1 500", "")
    vessel = (images["rle_mask_vessel"] != "").groupby(assign_folds(images, FIVE)).mean()
    assert vessel.max() - vessel.min() < 0.08


def test_groups_are_subjects_joined_where_near_duplicates_cross_them() -> None:
    images = pd.DataFrame({"image": list("abcdef"), "subject": ["17", "17", "18", "5", "18", "9"]})
    group = assign_groups(images.assign(told_group="", loop=""), pairs((1, 2), (3, 3)), FIVE)
    assert group.tolist() == ["17+18", "17+18", "17+18", "5", "17+18", "9"]


def test_a_group_of_many_is_named_after_the_first() -> None:
    images = pd.DataFrame({"image": list("abcde"), "subject": "", "told_group": "", "loop": ""})
    group = assign_groups(images, pairs((0, 1), (1, 2), (2, 3)), FIVE)
    assert group.tolist() == ["a+3 more"] * 4 + ["e"]


def test_told_groups_win_over_subjects() -> None:
    images = pd.DataFrame({"image": list("ab"), "subject": ["1", "1"], "told_group": ["x", "y"]})
    assert assign_groups(images, NO_PAIRS, FIVE).tolist() == ["x", "y"]


def test_a_group_that_is_told_for_some_images_only_is_an_error() -> None:
    images = pd.DataFrame({"image": list("ab"), "subject": ["1", ""], "told_group": ""})
    with pytest.raises(InputError, match="nobody tells it for 1 images, such as b"):
        assign_groups(images, NO_PAIRS, FIVE)


def test_kfold_takes_every_image_by_itself() -> None:
    config = Config(validation_strategy="kfold")
    assert assign_groups(table(2), pairs((0, 1)), config).tolist() == table(2)["image"].tolist()


def test_automatic_holds_out_one_fold_of_whole_groups_of_the_size_asked_for() -> None:
    images = table(30)
    config = Config(validation_strategy="automatic", validation_size=0.25)
    fold = assign_folds(images, config)
    assert set(fold) == {0, TRAINING_ONLY}
    assert (fold == 0).mean() == pytest.approx(0.25, abs=0.03)
    assert (images.assign(fold=fold).groupby("group")["fold"].nunique() == 1).all()
    assert config.fold_numbers == [0]


def test_custom_takes_the_folds_of_the_column() -> None:
    images = table()
    fold = assign_folds(images, Config(validation_strategy="custom"))
    assert fold.tolist() == [int(subject) % 5 for subject in images["subject"]]


def test_custom_takes_the_images_of_the_validation_table_as_fold_0() -> None:
    config = Config(validation_strategy="custom", validation_dataframe="held_out.csv")
    fold = assign_folds(table(), config)
    assert ((fold == 0) == (table()["subject"] == "3")).all()
    assert set(fold) == {0, TRAINING_ONLY}


@pytest.mark.parametrize("told", ["", "5", "first", "1.5"])
def test_a_fold_that_is_none_is_an_error_that_names_the_image(told: str) -> None:
    images = table().assign(told_fold=["0", told, *["0"] * (len(table()) - 2)])
    complaint = f"1 images have no fold of 0 to 4 there, such as 0_1: '{told}'"
    with pytest.raises(InputError, match=complaint):
        assign_folds(images, Config(validation_strategy="custom"))


def divided() -> pd.DataFrame:
    images = table(4).assign(fold=0)
    images.loc[images["subject"].isin(["1", "2"]), "fold"] = 1
    return images


def test_folds_by_subject_leak_nothing() -> None:
    shared = shared_by_folds(divided(), pairs((0, 1)))
    assert (shared["subjects_split"], shared["groups_split"], shared["leaking_pairs"]) == (0, 0, 0)
    assert leaks(shared, FIVE) == []


def test_split_subjects_and_pairs_are_counted_and_named() -> None:
    images = divided()
    images.loc[images["image"] == "1_3", "fold"] = 0
    first = images.index[images["image"] == "1_3"][0]
    shared = shared_by_folds(images, pairs((first, first + 1), (0, 1)))
    assert (shared["subjects_split"], shared["leaking_pairs"]) == (1, 1)
    assert shared["leaking_pairs_first"] == [["1_3", "1_4"]]
    words = list(map(sentence, leaks(shared, FIVE)))
    assert words[0].startswith("LEAK: 1 subjects")
    assert words[1].startswith("LEAK: 1 pairs of near-duplicate images")


def test_a_pair_of_an_image_held_out_and_one_trained_on_leaks() -> None:
    images = divided().assign(fold=[0] + [TRAINING_ONLY] * (len(divided()) - 1))
    assert shared_by_folds(images, pairs((0, 1)))["leaking_pairs"] == 1


def test_where_no_subject_is_known_it_says_what_groups_cannot_see() -> None:
    shared = shared_by_folds(divided().assign(subject=""), NO_PAIRS)
    assert shared["subject_unknown"] == len(divided())
    assert "do not look alike" in leaks(shared, FIVE)[0]["text"]


def test_one_unknown_subject_hides_no_split_of_the_others() -> None:
    images = divided().assign(fold=0)
    images.loc[images["image"] == "1_3", "fold"] = 1
    images.loc[0, "subject"] = ""
    words = list(map(sentence, leaks(shared_by_folds(images, NO_PAIRS), FIVE)))
    assert words[0].startswith("LEAK: 1 subjects")
    assert words[1].startswith("POSSIBLE LEAK: the subject of 1 images")


def test_split_groups_leak_where_subjects_do_not() -> None:
    images = divided().assign(group="one")
    config = Config(validation_strategy="custom", group_fold_column="clinic")
    words = list(map(sentence, leaks(shared_by_folds(images, NO_PAIRS), config)))
    assert words[0].startswith("LEAK: 1 groups of clinic stand in several folds")


def test_folds_that_no_image_has_are_named() -> None:
    with pytest.raises(InputError, match=r"no image has the folds \['3', '4'\]"):
        assign_folds(
            table().assign(told_fold="0"),
            Config(validation_strategy="custom", folds=["0", "3", "4"]),
        )


def test_the_frames_of_a_loop_stay_together_where_nobody_tells_the_subject() -> None:
    images = pd.DataFrame({"image": list("abcd"), "subject": "", "told_group": ""})
    group = assign_groups(images.assign(loop=["x", "x", "", ""]), NO_PAIRS, FIVE)
    assert group.tolist() == ["x", "x", "c", "d"]


def test_the_rows_of_a_fold_are_the_others_to_train_on_and_its_own_to_score() -> None:
    images = divided()
    assert set(training_rows(images, 0, FIVE)["subject"]) == {"1", "2"}
    assert set(unseen_rows(images, 0, FIVE)["subject"]) == {"0", "3"}


def test_an_image_of_no_weight_is_scored_and_not_trained_on() -> None:
    images = divided()
    images.loc[0, "weight"] = 0.0
    assert "0_0" in set(unseen_rows(images, 0, FIVE)["image"])
    assert "0_0" not in set(training_rows(images, 1, FIVE)["image"])


def test_data_sample_thins_out_the_rows_chosen_the_same_each_time() -> None:
    images, shuffled = divided(), divided().sample(frac=1, random_state=1)
    config = Config(data_sample=0.5, data_sample_choice=["Train"])
    rows = training_rows(images, 0, config)
    assert len(rows) == round(0.5 * (images["fold"] != 0).sum())
    assert set(rows["image"]) == set(training_rows(shuffled, 0, config)["image"])
    assert len(unseen_rows(images, 0, config)) == (images["fold"] == 0).sum()
    other = Config(data_sample=0.5, data_sample_choice=["Validation"])
    assert len(unseen_rows(images, 0, other)) == round(0.5 * (images["fold"] == 0).sum())
