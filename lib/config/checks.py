"""What is wrong with the value of a setting, alone or beside others."""

import difflib
import math
from pathlib import Path
from typing import Any

from lib.config.fields import (
    FIELDS,
    REMOVED,
    TEST_TIME_AUGMENTATIONS,
    TYPES,
    Config,
    allowed,
    run_and_weight,
)


def checked(values: dict[str, Any], source: str, errors: list[str]) -> dict[str, Any]:
    """The values that are right, in the type of their setting; the others go to `errors`."""
    good: dict[str, Any] = {}
    for name, value in values.items():
        if name == "data":
            good[name] = str(value)
            continue
        if name in REMOVED:
            idle, way_out = REMOVED[name]
            if value != idle:  # config.yaml of an older run holds every setting
                errors.append(f"{name} ({source}): there is no such setting any more: {way_out}")
            continue
        if name not in FIELDS:
            near = difflib.get_close_matches(str(name), [*FIELDS, "data"], n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            errors.append(f"{name} ({source}): there is no such setting{hint}")
            continue
        try:
            good[name] = _value(name, value)
        except ValueError as error:
            errors.append(f"{name}: {value!r} ({source}): {error}")
    return good


def _value(name: str, value: Any) -> Any:
    """The value in the type of its setting; ValueError says which values are allowed."""
    about = FIELDS[name].metadata
    if value in about["later"] and value not in about["choices"]:
        raise ValueError(f"is not built yet; allowed: {allowed(about)}")
    value = _typed(TYPES[name], value)
    if about["choices"] and value not in about["choices"]:
        known = f" (not built yet: {', '.join(map(str, about['later']))})" if about["later"] else ""
        raise ValueError(f"allowed: {allowed(about)}{known}")
    if isinstance(value, (int, float)) and not about["low"] <= value <= about["high"]:
        raise ValueError(f"allowed: {allowed(about)}")
    if about["multiple_of"] > 1 and value % about["multiple_of"]:
        raise ValueError(f"allowed: {allowed(about)}")
    return value


def _typed(kind: Any, value: Any) -> Any:
    """`value` as `kind`, where that changes its writing only; ValueError names the kind."""
    if kind is str:
        if value is None:
            return "None"
        if isinstance(value, str):
            return _text(value)
        raise ValueError("a text was expected: put it in quotes")
    if kind is bool and isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return _number(value)
    if kind == list[str] and isinstance(value, list):
        return [_text(str(item)) for item in value]
    if kind == list[float] and isinstance(value, list):
        return [_number(item) for item in value]
    if kind == list[float] and isinstance(value, (int, float)) and not isinstance(value, bool):
        return [_number(value)]
    expected = {bool: "true or false", int: "a whole number", float: "a number"}
    raise ValueError(f"{expected.get(kind, 'a list, such as [a, b]')} was expected")


def _text(value: str) -> str:
    """ValueError for what neither a file nor its name can hold."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a half of a letter (a surrogate) is no text") from None
    if "\0" in value:
        raise ValueError("a text without null bytes was expected")
    return value


def _number(value: float | str) -> float:
    """YAML reads 1e-3 as a text, for want of a point."""
    try:
        number = float(value)
    except (ValueError, TypeError):  # the latter of a list in the list
        number = math.nan
    if not math.isfinite(number):
        raise ValueError("a number was expected")
    return number


def conflicts(config: Config) -> list[str]:
    """What is wrong between settings that are each right by themselves."""
    errors = []
    known = [str(fold) for fold in range(config.n_folds)]
    if not config.folds or not set(config.folds) <= set(known):
        errors.append(
            f"folds: {config.folds}: allowed, with n_folds {config.n_folds}: {known}; set both, "
            f"as in folds=[{', '.join(known[:9])}]"
        )
    if len(config.folds) != len(set(config.folds)):
        errors.append(f"folds: {config.folds}: a fold stands there twice")
    if len(set(config.gpus)) < len(config.gpus) or not all(map(_is_number, config.gpus)):
        errors.append(f"gpus: {config.gpus}: allowed: numbers, such as ['0'], ['0', '1'] or []")
    name = config.experiment_name
    if (
        not 0 < len(name) <= 200
        or name != name.strip(". ")
        or any(letter in name for letter in '/\\:*?"<>|\0')
    ):
        errors.append(f"experiment_name: {name!r}: it names a folder: letters, digits, . _ -")
    least = 160 if "Scale" in config.test_time_augmentations else 128
    if config.architecture == "PAN" and min(config.image_height, config.image_width) < least:
        scale = ", 160 with Scale," if least > 128 else ""
        errors.append(
            f"architecture: PAN needs an image_height and image_width of 128{scale} at least"
        )
    share = config.positive_share
    if share and (len(share) != 2 or not all(0 <= value <= 1 for value in share)):
        errors.append(f"positive_share: {share}: allowed: two shares of 0 to 1, or []")
    spacing = config.pixel_spacing_mm
    if len(spacing) > 2 or not all(value > 0 for value in spacing):
        errors.append(
            f"pixel_spacing_mm: {spacing}: allowed: one number above 0, two (down, across), or []"
        )
    errors += _data_conflicts(config)
    errors += _inference_conflicts(config)
    errors += _idle(config)
    if not config.pretrained and config.pretrained_weights != "None":
        errors.append("pretrained_weights acts with pretrained: true only")
    return errors


def _is_number(gpu: str) -> bool:
    return gpu.isascii() and gpu.isdigit()


def _idle(config: Config) -> list[str]:
    """Settings of ours that would do nothing (Hydrogen Torch's files always hold all of theirs)."""
    sums, errors = ("BCEDice", "FocalDice"), []
    if config.dice_weight != 1 and config.loss_function not in sums:
        errors.append(f"dice_weight acts with loss_function {' and '.join(sums)} only")
    if not config.tune_decision and config.test_positive_share:
        errors.append("test_positive_share acts with tune_decision: true only")
    return errors


def _data_conflicts(config: Config) -> list[str]:
    errors = []
    if not config.data_sample:
        errors.append("data_sample: 0: allowed: above 0, to 1")
    choice = config.data_sample_choice
    if not choice or not set(choice) <= {"Train", "Validation"}:
        errors.append(f"data_sample_choice: {choice}: allowed: Train, Validation or both")
    if config.validation_strategy == "automatic" and not 0 < config.validation_size < 1:
        errors.append("validation_size: allowed with automatic: between 0 and 1")
    if config.validation_dataframe != "None" and config.validation_strategy != "custom":
        errors.append("validation_dataframe acts with validation_strategy: custom only")
    return errors


def _inference_conflicts(config: Config) -> list[str]:
    errors = []
    wished = config.test_time_augmentations
    if len(wished) != len(set(wished)) or not set(wished) <= set(TEST_TIME_AUGMENTATIONS):
        errors.append(
            f"test_time_augmentations: {wished}: allowed: {', '.join(TEST_TIME_AUGMENTATIONS)}, "
            "each once"
        )
    pairs = list(map(run_and_weight, config.ensemble))
    if wrong := [run for run, weight in pairs if not (run and 0 < weight < math.inf)]:
        errors.append(f"ensemble: {wrong}: a weight is a number above 0, as in runs/a:2")
    folders = [Path(run).resolve() for run, _ in pairs]
    if len(folders) != len(set(folders)):
        errors.append(f"ensemble: {config.ensemble}: a run stands there twice")
    if (Path(config.runs_folder) / config.experiment_name).resolve() in folders:
        errors.append("ensemble: a run cannot be a member of itself: set another experiment_name")
    return errors
