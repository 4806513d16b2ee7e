import json
import pickle
from pathlib import Path
from typing import Any

import albumentations as A
import numpy as np
import numpy.typing as npt
import pytest
import torch

from lib.augment import (
    STRATEGIES,
    Pixels,
    augment,
    hard,
    inference_transform,
    medium,
    soft,
    training_transform,
)
from lib.config.fields import Config
from lib.config.read import DEFAULT_FILE
from lib.data.layouts import load_settings
from lib.data.table import read_training_images, with_files
from lib.dataset import plain_loader
from lib.runtime.errors import InputError
from lib.training.batches import training_loader
from tests.conftest import configured

SHAPE = (96, 128)
KEYS = [(1, epoch, "image") for epoch in range(60)]


def picture(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, SHAPE, dtype=np.uint8)


def flat(grey: int, shape: tuple[int, int] = SHAPE) -> Pixels:
    return np.full(shape, grey, dtype=np.uint8)


def square(row: int, column: int) -> Pixels:
    """A mask of 9x9 pixels around a place."""
    mask = flat(0)
    mask[row - 4 : row + 5, column - 4 : column + 5] = 1
    return mask


def centre(mask: Pixels) -> npt.NDArray[np.float64]:
    return np.argwhere(mask).mean(axis=0)


def only(kind: str) -> A.Compose:
    """One of Hard's transforms, which acts on every image."""
    (transform,) = [part for part in hard() if type(part).__name__ == kind]
    transform.p = 1.0
    return A.Compose([transform])


def draws(transform: A.Compose, image: Pixels) -> list[Pixels]:
    return [augment(transform, image, [], key)[0] for key in KEYS]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_images_stay_uint8_of_their_size_and_masks_0_or_1(strategy: str) -> None:
    image, transform = picture(), STRATEGIES[strategy]()
    for key in KEYS:
        changed, masks = augment(transform, image, [image // 128, flat(0)], key)
        assert changed.dtype == np.uint8 and changed.shape == SHAPE
        assert [mask.shape for mask in masks] == [SHAPE, SHAPE]
        assert set(np.unique(masks[0])) == {0, 1} and not masks[1].any()


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_draw_follows_from_seed_epoch_and_image_whatever_came_before(strategy: str) -> None:
    image = picture()
    forwards = [augment(STRATEGIES[strategy](), image, [], key)[0] for key in KEYS]
    transform = pickle.loads(pickle.dumps(STRATEGIES[strategy]()))  # as a worker process gets it
    backwards = [augment(transform, image, [], key)[0] for key in reversed(KEYS)]
    assert np.array_equal(forwards, backwards[::-1])


def test_transforms_are_drawn_independently_of_each_other() -> None:
    """albumentations' own set_random_seed would flip either both ways or not at all."""
    transform = A.Compose([A.HorizontalFlip(p=0.5), A.VerticalFlip(p=0.5)])
    image = picture()
    seen = {result.tobytes() for result in draws(transform, image)}
    assert len(seen) == 4


def test_hard_changes_more_than_medium_and_medium_more_than_soft() -> None:
    image = np.repeat(np.linspace(20, 200, SHAPE[0]).astype(np.uint8)[:, None], SHAPE[1], axis=1)
    little, more, most = (
        np.mean([np.abs(result - image.astype(int)).mean() for result in draws(strategy, image)])
        for strategy in (soft(), medium(), hard())
    )
    assert little == 0
    assert 1 < more < 0.7 * most


def test_only_what_moves_the_image_moves_masks_and_by_as_much() -> None:
    mask = np.maximum(square(30, 40), square(60, 90))
    moving = A.Compose([part for part in hard() if not isinstance(part, A.ImageOnlyTransform)])
    still = A.Compose([part for part in hard() if isinstance(part, A.ImageOnlyTransform)])
    for key in KEYS:
        image, (moved,) = augment(moving, mask * 255, [mask], key)
        assert np.abs((image > 127).astype(int) - moved).mean() < 0.01
        assert np.array_equal(augment(still, picture(), [mask], key)[1][0], mask)


def test_a_frame_moves_within_the_reach_of_the_probe() -> None:
    """Shift up to 8 %, scale to 15 %, turn to 10 degrees, never upside down; to 1.5 pixels."""
    masks = [square(48, 64), square(48, 94), square(78, 64)]
    turns, shifts, scales = [], [], []
    for key in KEYS:
        middle, right, below = map(centre, augment(only("Affine"), flat(0), masks, key)[1])
        shifts.append((middle - (48, 64)) / SHAPE)
        lengths = [np.hypot(*(right - middle)), np.hypot(*(below - middle))]
        assert abs(lengths[0] - lengths[1]) < 2
        scales += [length / 30 for length in lengths]
        for arm, straight in [(right - middle, (0, 1)), (below - middle, (1, 0))]:
            turns.append(np.degrees(np.arccos(arm @ straight / np.hypot(*arm))))
    assert 5 < max(turns) < 10 + 3
    assert 0.05 < np.abs(shifts).max() < 0.08 + 0.01
    assert 0.85 - 0.05 < min(scales) < 0.9 and 1.1 < max(scales) < 1.15 + 0.05


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_depth_keeps_its_direction_and_sides_do_not(strategy: str) -> None:
    mask = square(20, 20)
    places = [centre(augment(STRATEGIES[strategy](), flat(0), [mask], key)[1][0]) for key in KEYS]
    assert all(row < 48 for row, _ in places)
    assert 15 < sum(column > 64 for _, column in places) < 45


def test_where_the_probe_does_not_reach_it_is_black_and_no_nerve() -> None:
    outside = []
    for key in KEYS:
        image, (mask,) = augment(only("Affine"), flat(200), [flat(1)], key)
        assert np.abs((image > 100).astype(int) - mask).mean() < 0.02
        outside.append((image == 0).mean())
    assert 0.1 < max(outside) < 0.4


def test_a_shadow_darkens_columns_from_some_depth_downward_and_nothing_else() -> None:
    shares = []
    for result in draws(only("Shadow"), flat(200)):
        assert (np.diff(result.astype(int), axis=0) <= 0).all()
        assert result.max() == 200
        assert result.min() >= 200 * (1 - 0.7) ** 2 - 1
        dark = (result < 200).any(axis=0)
        assert (result[:, ~dark] == 200).all()
        shares.append(dark.mean())
    assert min(shares) > 0.02 and max(shares) < 0.5
    assert np.mean([(result[-1] < 160).any() for result in draws(only("Shadow"), flat(200))]) > 0.8


def correlation(noise: npt.NDArray[np.float64], down: int, across: int) -> float:
    first = noise[: noise.shape[0] - down, : noise.shape[1] - across]
    return float((first * noise[down:, across:]).mean() / noise.var())


def test_speckle_multiplies_by_grains_as_wide_as_the_beam() -> None:
    means = []
    for key in KEYS[:8]:
        noise = augment(only("Speckle"), flat(100, (420, 580)), [], key)[0] / 100 - 1
        means.append(noise.mean())
        assert 0.04 < noise.std() < 0.16
        assert correlation(noise, 1, 0) > 0.8 and correlation(noise, 0, 2) > 0.8
        assert abs(correlation(noise, 9, 0)) < 0.1 and abs(correlation(noise, 0, 18)) < 0.1
        assert 0.15 < correlation(noise, 0, 5) > correlation(noise, 5, 0) + 0.1
    assert abs(np.mean(means)) < 0.002
    assert not augment(only("Speckle"), flat(0), [], KEYS[0])[0].any()
    assert augment(only("Speckle"), flat(255), [], KEYS[0])[0].min() > 100  # white does not wrap


def test_time_gain_changes_brightness_smoothly_with_depth_alone() -> None:
    spans = []
    for result in draws(only("TimeGain"), flat(100)):
        assert (result == result[:, :1]).all()
        rows = result[:, 0].astype(int)
        assert np.abs(np.diff(rows)).max() < 12
        assert rows.min() >= 65 and rows.max() <= 135
        spans.append(np.ptp(rows))
    assert min(spans) > 2 and max(spans) > 20


def test_gain_adds_to_every_grey_value_the_same() -> None:
    image = np.where(picture() < 128, 100, 150).astype(np.uint8)
    added = [
        np.unique(result - image.astype(int))
        for result in draws(only("RandomBrightnessContrast"), image)
    ]
    assert all(len(values) == 1 for values in added)
    assert min(added) < -15 and max(added) > 15
    assert max(map(abs, added)) <= 0.15 * 255 + 1


def test_dynamic_range_keeps_black_white_and_the_order_of_greys() -> None:
    greys = np.arange(256, dtype=np.uint8)[None].repeat(2, axis=0)
    middles = []
    for result in draws(only("RandomGamma"), greys):
        assert (result[0, 0], result[0, -1]) == (0, 255)
        assert (np.diff(result[0].astype(int)) >= 0).all()
        middles.append(int(result[0, 128]))
    assert 85 < min(middles) < 110 and 145 < max(middles) < 170


def test_blur_loses_detail_and_keeps_brightness() -> None:
    image = picture()
    for result in draws(only("GaussianBlur"), image):
        assert result.mean() == pytest.approx(image.mean(), abs=1)
        assert 0.15 < result.std() / image.std() < 0.95


# A serialised pipeline as Hydrogen Torch 1.2.0 writes it into its experiments: by albumentations
# 1.1.0, over several lines of YAML, with names where the sizes belong.
HYDROGEN_TORCH = """
augmentation:
    augmentations_strategy: Custom
    custom_train_augmentations: '{"__version__": "1.1.0", "transform": {"__class_fullname__":
        "Compose", "p": 1.0, "transforms": [{"__class_fullname__": "Resize", "always_apply":
        true, "p": 1, "height": IMAGE_HEIGHT, "width": IMAGE_WIDTH, "interpolation":
        1}], "bbox_params": null, "keypoint_params": null, "additional_targets": {}}}'
    custom_inference_augmentations: '{"__version__": "1.1.0", "transform": {"__class_fullname__":
        "Compose", "p": 1.0, "transforms": [{"__class_fullname__": "Resize", "always_apply":
        true, "p": 1, "height": IMAGE_HEIGHT, "width": IMAGE_WIDTH, "interpolation":
        1}], "bbox_params": null, "keypoint_params": null, "additional_targets": {}}}'
image: {image_height: 96, image_width: 128}
"""


def custom(text: str, **settings: Any) -> Config:
    return Config(
        augmentations_strategy="Custom",
        custom_train_augmentations=text,
        image_height=SHAPE[0],
        image_width=SHAPE[1],
        **settings,
    )


def serialised(name: str, p: float = 1.0, **arguments: Any) -> str:
    entry = {"__class_fullname__": name, "p": p, **arguments}
    compose = {"__class_fullname__": "Compose", "p": 1.0, "transforms": [entry]}
    return json.dumps({"__version__": "1.1.0", "transform": compose})


@pytest.mark.filterwarnings("error")
def test_the_pipelines_of_a_hydrogen_torch_experiment_change_nothing(tmp_path: Path) -> None:
    """They resize only, and their images come resized already."""
    path = tmp_path / "experiment.yaml"
    path.write_text(HYDROGEN_TORCH)
    config = load_settings(path)
    image = picture()
    for transform in (training_transform(config), inference_transform(config)):
        assert transform is not None
        changed, (mask,) = augment(transform, image, [image // 128], KEYS[0])
        assert np.array_equal(changed, image) and np.array_equal(mask, image // 128)


def test_under_another_strategy_the_custom_pipelines_rest() -> None:
    config = Config(custom_train_augmentations="{", custom_inference_augmentations="{")
    assert [type(part) for part in training_transform(config)] == [A.HorizontalFlip]
    assert inference_transform(config) is None


def test_hard_written_out_as_json_is_hard() -> None:
    transform = training_transform(custom(json.dumps(A.to_dict(hard()))))
    image, mask = picture(), square(30, 40)
    for key in KEYS:
        changed, (moved,) = augment(transform, image, [mask], key)
        expected, (expected_mask,) = augment(hard(), image, [mask], key)
        assert np.array_equal(changed, expected) and np.array_equal(moved, expected_mask)


@pytest.mark.filterwarnings("error")
def test_always_apply_of_albumentations_1_wins_over_p_as_it_did_there() -> None:
    image = picture()
    text = serialised("HorizontalFlip", p=0.5, always_apply=True)
    for result in draws(training_transform(custom(text)), image):
        assert np.array_equal(result, image[:, ::-1])


def test_a_single_transform_may_stand_without_compose() -> None:
    text = '{"transform": {"__class_fullname__": "HorizontalFlip", "p": 1.0}}'
    image = picture()
    changed, _ = augment(training_transform(custom(text)), image, [], KEYS[0])
    assert np.array_equal(changed, image[:, ::-1])


def test_a_custom_pipeline_moves_masks_by_the_nearest_pixel_whatever_it_says() -> None:
    text = serialised("Rotate", limit=[30, 30], mask_interpolation=1, value=None, mask_value=None)
    mask = picture() // 128
    _, (turned,) = augment(training_transform(custom(text)), flat(0), [mask], KEYS[0])
    nearest = A.Compose([A.Rotate((30, 30), mask_interpolation=0, p=1)])
    assert np.array_equal(turned, augment(nearest, flat(0), [mask], KEYS[0])[1][0])


REFUSED = [
    ("", "augmentations_strategy Custom needs it"),
    ("None", "augmentations_strategy Custom needs it"),
    ("{", "not JSON"),
    ("[]", "serialised albumentations were expected"),
    ("{}", "serialised albumentations were expected"),
    ('{"transform": null}', "albumentations 2.0.8 can build"),
    ('{"transform": {"p": 1.0}}', "can build: KeyError: '__class_fullname__'"),
    (serialised("HorizontalFlop"), "HorizontalFlop: .* did you mean HorizontalFlip"),
    (serialised("Normalize"), "Normalize: leave it out: image_normalization does it"),
    (serialised("ToFloat"), "ToFloat: leave it out: image_normalization does it"),
    (serialised("albumentations.pytorch.transforms.ToTensorV2"), "ToTensorV2: leave it out"),
    (serialised("Resize", height=64, width=64), "of 64x64, where .* is 96x128: end with a Resize"),
    (serialised("ToRGB"), "of 96x128x3, where .* leave it grey"),
    (serialised("RandomCrop", height=999, width=999), "fails on a grey image: Crop size"),
    (serialised("RandomSunFlare"), "fails on a grey image: .* 3-channel"),
    (serialised("CoarseDropout", fill_mask=2), "gives uint8 up to 2, where uint8 up to 1"),
    (serialised("FromFloat"), "gives float16 up to"),
    (serialised("Blur", blur_limit="wide"), "can build: ValueError"),
]


@pytest.mark.parametrize(("text", "complaint"), REFUSED)
def test_a_custom_pipeline_that_cannot_act_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=f"(?s)^custom_train_augmentations: .*{complaint}"):
        training_transform(custom(text))


@pytest.mark.filterwarnings("ignore:Argument")
def test_an_argument_that_albumentations_lost_is_refused_and_not_ignored() -> None:
    with pytest.raises(InputError, match="'value' are not valid for transform Rotate"):
        training_transform(custom(serialised("Rotate", value=7)))


def test_images_to_predict_may_change_in_grey_values_and_not_in_place() -> None:
    for name, moves in [("HorizontalFlip", True), ("CLAHE", False), ("Affine", True)]:
        config = custom("", custom_inference_augmentations=serialised(name))
        if moves:
            with pytest.raises(InputError, match=f"^custom_inference_augmentations: {name}: the"):
                inference_transform(config)
        else:
            assert inference_transform(config) is not None


def delivered(settings: list[str], workers: int) -> list[torch.Tensor]:
    """All images of an epoch of training and of the images as they are to be predicted."""
    config = configured(settings, f"number_of_workers={workers}")
    table = with_files(read_training_images(config).table, config)
    loaders = [training_loader(table, config)[0], plain_loader(table, config)]
    return [torch.cat([batch.images for batch in loader]) for loader in loaders]


def test_training_and_inference_have_each_their_own_pipeline(settings: list[str]) -> None:
    plain = delivered(settings, 0)[1]
    darker, inverted = (
        [*settings, "augmentations_strategy=Custom", f"custom_train_augmentations={train}", *more]
        for train, more in [
            (serialised("RandomGamma", gamma_limit=[200, 200]), []),
            (serialised("NoOp"), [f"custom_inference_augmentations={serialised('InvertImg')}"]),
        ]
    )
    assert torch.equal(delivered(darker, 0)[1], plain)
    assert delivered(darker, 0)[0].float().mean() < plain.float().mean() - 20
    assert torch.equal(delivered(inverted, 0)[1], 255 - plain)


def test_the_number_of_workers_changes_nothing_of_hard(settings: list[str]) -> None:
    hardest = [*settings, "augmentations_strategy=Hard"]
    alone, together = delivered(hardest, 0), delivered(hardest, 2)
    assert all(torch.equal(*pair) for pair in zip(alone, together, strict=True))
    assert not torch.equal(alone[0], delivered(settings, 0)[0])


def test_the_strategies_are_those_of_the_setting() -> None:
    for strategy in STRATEGIES:
        chosen = load_settings(DEFAULT_FILE, [f"augmentations_strategy={strategy}"])
        assert len(training_transform(chosen)) == len(STRATEGIES[strategy]())
