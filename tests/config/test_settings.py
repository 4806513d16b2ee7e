"""For each setting the test that fails if the setting is read and ignored."""

import ast
from functools import cache

import pytest

from lib.config.fields import FIELDS
from tests.conftest import REPOSITORY

# File of tests -> test -> the settings that it holds.
HELD_BY = {
    "test_augment.py": {
        "test_the_number_of_workers_changes_nothing_of_hard": ["augmentations_strategy"],
        "test_training_and_inference_have_each_their_own_pipeline": [
            "custom_inference_augmentations",
            "custom_train_augmentations",
        ],
    },
    "test_dataset.py": {
        "test_without_room_for_a_cache_the_table_stays_as_it_is": ["cache_gib"],
        "test_masks_keep_their_place_when_they_are_resized": ["image_height", "image_width"],
        "test_there_are_as_many_workers_as_asked_for_but_no_more_than_cores": ["number_of_workers"],
    },
    "inference/test_ensemble.py": {
        "test_a_weight_counts_and_a_member_that_changed_is_told_and_averaged_again": ["ensemble"],
    },
    "folds/test_assign.py": {
        "test_automatic_holds_out_one_fold_of_whole_groups_of_the_size_asked_for": [
            "validation_size"
        ],
        "test_data_sample_thins_out_the_rows_chosen_the_same_each_time": [
            "data_sample",
            "data_sample_choice",
        ],
    },
    "steps/test_infer.py": {
        "test_a_video_is_predicted_and_submitted_in_place_of_the_test_set": ["test"],
        "test_views_are_counted_and_change_the_probabilities": ["test_time_augmentations"],
    },
    "data/test_labels.py": {
        "test_classes_and_folds_are_read_from_the_columns_asked_for": [
            "class_name_column",
            "fold_column",
        ],
        "test_an_image_without_its_mask_file_is_a_negative_if_asked": ["missing_mask"],
        "test_masks_of_the_background_are_refused_and_turned_if_asked": ["invert_masks"],
        "test_outlines_become_areas": ["fill_outlines"],
        "test_run_lengths_of_every_convention_give_the_same_masks": ["rle_order", "rle_start"],
        "test_validation_images_have_their_mask_files": ["mask_folder"],
    },
    "data/test_people.py": {
        "test_a_pattern_decides_and_must_fit_every_image": ["subject_pattern"],
    },
    "test_losses.py": {
        "test_training_lowers_the_loss_that_is_asked_for": ["dice_weight", "loss_function"],
    },
    "training/test_mixup.py": {
        "test_cutmix_corner_puts_the_other_image_into_a_corner": ["cutmix_corner"],
        "test_more_iterations_mix_more_images_into_one": ["mix_iterations"],
        "test_shares_are_as_wide_as_the_beta_of_mix_concentration": ["mix_concentration"],
        "test_the_share_of_batches_that_are_mixed_is_mix_probability": ["mix_probability"],
    },
    "test_unet.py": {
        "test_an_unknown_backbone_is_given_its_nearest": ["backbone"],
        "test_every_architecture_gives_a_map_of_the_images_size_for_each_class": ["architecture"],
        "test_grey_values_are_normalized_by_hand_worked_values": ["image_normalization"],
        "test_logits_have_the_size_of_the_image": ["image_channels"],
    },
    "runtime/test_device.py": {
        "test_a_gpu_is_set_to_repeatable_kernels_or_to_any": ["deterministic"],
        "test_each_process_has_the_gpu_that_gpus_names": ["gpus"],
    },
    "readers/test_rows.py": {
        "test_the_margin_of_the_settings_decides_and_is_told": ["reader_margin"],
    },
    "readers/test_second.py": {
        "test_labels_of_every_kind_are_read_and_others_are_told": ["second_reader"],
    },
    "training/test_pretrained.py": {
        "test_weights_are_read_from_a_local_file": ["pretrained_weights"],
    },
    "decision/test_measures.py": {
        "test_millimetres_are_pixels_of_their_size_and_have_a_tolerance_of_their_own": [
            "nsd_tolerance",
            "nsd_tolerance_mm",
        ],
        "test_the_spacing_is_the_settings_else_the_files": ["pixel_spacing_mm"],
    },
    "decision/test_nested.py": {
        "test_one_group_or_the_setting_leave_one_part": ["tune_decision"],
        "test_the_expected_score_is_that_at_the_share_of_nerves_asked_for": ["test_positive_share"],
    },
    "training/test_batches.py": {
        "test_every_image_stands_once_in_an_epoch_but_for_a_dropped_last_batch": [
            "batch_size",
            "drop_last_batch",
        ],
        "test_the_share_of_positives_moves_from_the_first_epoch_to_the_last": ["positive_share"],
    },
    "steps/test_pipeline.py": {
        "test_kfold_is_run_as_asked_and_called_a_leak": ["validation_strategy"],
        "test_one_fold_alone_is_trained_predicted_and_scored": ["folds"],
        "test_the_last_step_follows_its_settings": ["probability_threshold"],
    },
    "runtime/test_progress.py": {
        "test_a_quiet_step_shows_no_progress": ["quiet"],
    },
    "tools/scoring/test_score.py": {
        "test_a_run_is_exported_alike_by_04_and_by_hand_and_tells_nothing_of_people": [
            "build_scoring_pipelines"
        ],
    },
    "training/test_resume.py": {
        "test_it_goes_on_from_the_last_update_and_says_so": ["checkpoint_minutes"],
    },
    "data/test_table.py": {
        "test_a_missing_folder_is_named": ["data_folder"],
        "test_images_are_scaled_from_the_bits_asked_for": ["image_bits"],
        "test_one_file_under_two_names_is_an_error": ["train_dataframe"],
        "test_the_columns_asked_for_are_read_beside_columns_of_the_usual_names": [
            "group_fold_column",
            "image_column",
            "rle_mask_column",
        ],
        "test_the_test_images_are_those_of_the_table_and_the_folder_asked_for": [
            "data_folder_test",
            "test_dataframe",
        ],
    },
    "tools/watch/test_tracking.py": {
        "test_a_row_comes_back_by_name_and_step": ["logger"],
    },
    "training/test_loop.py": {
        "test_a_batch_is_mixed_on_its_way_to_the_network": ["mix_image"],
        "test_a_model_is_marked_with_the_folds_it_was_trained_on": ["n_folds"],
        "test_another_seed_gives_another_model": ["seed"],
        "test_each_optimizer_moves_the_weights_against_the_gradient": ["optimizer"],
        "test_every_image_is_trained_on_with_partial_batches_accumulated": ["grad_accumulation"],
        "test_gradients_are_clipped_to_the_norm_asked_for": ["gradient_clip"],
        "test_rates_follow_the_settings_update_by_update": [
            "epochs",
            "learning_rate",
            "schedule",
            "warmup_epochs",
        ],
        "test_the_layers_listed_have_their_own_learning_rate": [
            "differential_learning_rate",
            "differential_learning_rate_layers",
        ],
        "test_validations_come_as_often_as_asked_for_and_at_the_end": ["evaluation_epochs"],
        "test_weights_without_a_gradient_decay_as_asked_for": ["weight_decay"],
    },
    "training/test_training_settings.py": {
        "test_a_network_is_compiled_if_asked_for_and_keeps_its_names": ["compile"],
        "test_a_presence_head_learns_from_images_with_and_without_a_nerve": ["presence_head"],
        "test_bfloat16_is_used_in_training_and_in_inference_where_each_asks_for_it": [
            "mixed_precision_inference",
            "mixed_precision_training",
        ],
        "test_short_memory_halves_the_batch_and_accumulates": ["automatically_adjust_batch_size"],
        "test_the_average_of_weights_is_scored_and_kept": ["ema_decay"],
        "test_the_best_checkpoint_is_kept_if_asked_for_and_the_last_otherwise": [
            "save_best_checkpoint"
        ],
        "test_the_encoder_starts_from_imagenet_weights_if_asked_for": ["pretrained"],
        "test_the_images_of_the_fold_are_trained_on_if_asked_for_and_every_score_says_so": [
            "train_validation_data"
        ],
        "test_the_metric_decides_when_training_stops_and_what_is_kept": ["metric"],
        "test_the_time_budget_ends_a_training_which_goes_on_when_it_is_raised": [
            "time_budget_minutes"
        ],
        "test_training_images_are_scored_if_asked_for": ["calculate_train_metric"],
        "test_training_stops_when_the_score_has_not_risen_for_so_many_epochs": [
            "early_stopping_epochs"
        ],
    },
    "steps/test_test_labels.py": {
        "test_a_folder_of_test_masks_is_found_and_scored": ["mask_folder_test"],
    },
    "steps/test_whole_runs.py": {
        "test_a_table_of_validation_images_is_scored_and_not_trained_on": ["validation_dataframe"],
        "test_a_twin_of_another_label_is_told_drawn_and_left_out_if_asked": ["label_policy"],
        "test_a_zip_is_unpacked_once_and_gives_what_its_folder_gives": [
            "experiment_name",
            "runs_folder",
        ],
        "test_files_in_quarantine_are_left_out_listed_and_counted_and_keep_their_row": [
            "quarantine"
        ],
    },
}
# They can't act yet: of one value each, and those that act with another value of such a one.
ONE_VALUE = {"mix_target"}
ACTS_WITH = {"neptune_project": "logger"}

PLACES = [
    (file, test, setting)
    for file, tests in HELD_BY.items()
    for test, settings in tests.items()
    for setting in settings
]


def test_every_setting_is_held_by_one_test_or_cannot_act_yet() -> None:
    held = [setting for _, _, setting in PLACES]
    assert sorted([*held, *ONE_VALUE, *ACTS_WITH]) == sorted(FIELDS)


@pytest.mark.parametrize(("file", "test", "setting"), PLACES)
def test_the_test_that_holds_a_setting_is_there_and_sets_it(
    file: str, test: str, setting: str
) -> None:
    assert setting in words_of(file, test)


@pytest.mark.parametrize("setting", sorted(ONE_VALUE))
def test_a_setting_of_one_value_has_no_other(setting: str) -> None:
    assert len(FIELDS[setting].metadata["choices"]) == 1


@pytest.mark.parametrize(("setting", "other"), ACTS_WITH.items())
def test_a_setting_that_waits_for_a_value_waits_for_one_that_is_refused(
    setting: str, other: str
) -> None:
    assert FIELDS[setting].metadata["only_with"] == other
    assert FIELDS[other].metadata["later"]


def words_of(file: str, test: str) -> set[str]:
    """The names and words of a test, its decorators, and what of its file it uses."""
    parts, found, asked = parts_of(file), set[str](), [test]
    while asked:
        name = asked.pop()
        if name not in found:
            found.add(name)
            asked += [word for word in words_in(parts[name]) if word in parts]
    return set[str]().union(*(words_in(parts[name]) for name in found))


@cache
def parts_of(file: str) -> dict[str, ast.stmt]:
    """The functions, classes and values of a file of tests, by name."""
    parts: dict[str, ast.stmt] = {}
    for part in ast.parse((REPOSITORY / "tests" / file).read_text()).body:
        if isinstance(part, ast.FunctionDef | ast.ClassDef):
            parts[part.name] = part
        elif isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
            parts[part.targets[0].id] = part
    return parts


def words_in(part: ast.stmt) -> set[str]:
    """Names, keywords and parameters, and those that begin its texts, such as epochs=2."""
    words = set[str]()
    for node in ast.walk(part):
        match node:
            case ast.Name(id=word) | ast.arg(arg=word) | ast.keyword(arg=str(word)):
                words.add(word)
            case ast.Constant(value=str(text)):
                words.add(text.partition("=")[0])
    return words
