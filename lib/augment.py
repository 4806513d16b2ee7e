"""Augmentations of images and masks, each drawn from (seed, epoch, image) and nothing else."""

import difflib
import json
import os
import random
from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import stable_hash
from lib.runtime.portable import cubic, resampled

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # else importing it asks the network

import albumentations as A
from albumentations.augmentations.crops.transforms import CropSizeError
from albumentations.core.serialization import SERIALIZABLE_REGISTRY, shorten_class_name

Pixels = npt.NDArray[np.uint8]
Field = npt.NDArray[np.float32]
Range = tuple[float, float]

TRAIN, INFERENCE = "custom_train_augmentations", "custom_inference_augmentations"
# Steps that a serialised pipeline often ends with, and that come after it here.
LATER_STEPS = {
    "Normalize": "image_normalization does it, on the device",
    "ToFloat": "image_normalization does it, on the device",
    "ToTensor": "tensors are made of what it returns",
    "ToTensorV2": "tensors are made of what it returns",
}
# albumentations 1 writes them as null where nobody gave them; 2 does not know them.
GONE = {"eps", "mask_fill_value", "mask_value", "value"}
# Grains of speckle down and across a frame: its 420x580 pixels by the width of the point spread
# function at half its height, which tools/phantom/render.py matched to real frames (NEAR, FAR).
GRAINS = (98, 65)
SLIDERS = 8  # of time-gain compensation; scanners have six to ten


def training_transform(config: Config) -> A.Compose:
    """What augmentations_strategy names; InputError for a custom one that cannot be used."""
    if config.augmentations_strategy != "Custom":
        return STRATEGIES[config.augmentations_strategy]()
    if config.custom_train_augmentations in ("", "None"):
        raise InputError(
            f"{TRAIN}: augmentations_strategy Custom needs it: give serialised albumentations, or "
            f"choose one of {', '.join(STRATEGIES)}"
        )
    return _custom(TRAIN, config)


def inference_transform(config: Config) -> A.Compose | None:
    """What images to validate and to predict go through: nothing, but for a custom strategy."""
    given = config.custom_inference_augmentations not in ("", "None")
    if config.augmentations_strategy != "Custom" or not given:
        return None
    transform = _custom(INFERENCE, config)
    _refuse_what_moves(transform)
    return transform


def augment(
    transform: A.Compose, image: Pixels, masks: list[Pixels], key: tuple[int, int, str]
) -> tuple[Pixels, list[Pixels]]:
    """Image and masks (height, width), changed alike, as (seed, epoch, image name) decides.

    Seeded for every sample, so worker processes neither repeat each other nor change the result.
    """
    seed = stable_hash(*key)
    # Not set_random_seed: it starts every transform from the same number, so that half of all
    # images would get all of them, each with the same draw, and the others none.
    transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
    targets = {"masks": np.stack(masks)} if masks else {}
    changed = transform(image=image, **targets)
    return changed["image"], list(changed.get("masks", []))


def soft() -> A.Compose:
    """Horizontal flip: what Hydrogen Torch's Soft shows in its pictures of training images."""
    return A.Compose([A.HorizontalFlip(p=0.5)])


def medium() -> A.Compose:
    """Half of what Hard does, and more rarely."""
    return _ultrasound(much=0.5, often=0.3)


def hard() -> A.Compose:
    """As much as leaves the nerve recognisable."""
    return _ultrasound(much=1.0, often=0.5)


STRATEGIES: dict[str, Callable[[], A.Compose]] = {"Soft": soft, "Medium": medium, "Hard": hard}


def _ultrasound(much: float, often: float) -> A.Compose:
    """What another hand, neck, probe or scanner would change; in the order of the signal's way.

    No vertical flip: depth has a direction. No elastic deformation: competitors who tried it on
    these frames gained nothing. Rotation and shadows each helped Smistad et al. 2018 significantly
    (nerves of the arm, 49 subjects); zoom and time gain are of Singla et al. 2022 (kidneys).
    """
    return A.Compose(
        [
            # The other side of the neck, or the probe turned round.
            A.HorizontalFlip(p=0.5),
            _moved(much, often),
            # A lower frequency or another focus: up to 1.5 pixels at the network's size.
            A.GaussianBlur(blur_limit=0, sigma_limit=(0.4, 0.4 + 1.1 * much), p=often),
            # After what moves: a shadow falls straight down the beam, however the neck lies.
            Shadow(strength=(0.2 * much, 0.7 * much), p=often),
            Speckle(strength=(0.05 * much, 0.15 * much), p=often),
            TimeGain(strength=(0.1 * much, 0.3 * much), p=often),
            # Gain: in decibels, so it adds to the grey value and does not scale it.
            A.RandomBrightnessContrast(0.15 * much, contrast_limit=0, p=often),
            # The curve from decibels to grey, which scanners call dynamic range.
            A.RandomGamma(gamma_limit=(100 / (1 + 0.5 * much), 100 * (1 + 0.5 * much)), p=often),
        ]
    )


def _moved(much: float, often: float) -> A.Affine:
    """The probe slid, tilted or pressed, or another depth set; black where it would not reach.

    Turning a frame of 420x580 that was squashed to a square shears it too, at 10 degrees by 6.
    """
    return A.Affine(
        translate_percent=(-0.08 * much, 0.08 * much),
        scale=(1 - 0.15 * much, 1 + 0.15 * much),
        keep_ratio=True,
        rotate=(-10 * much, 10 * much),
        p=often,
    )


class Shadow(A.ImageOnlyTransform):
    """One or two bands that bone, air or lost contact darkens from some depth downward.

    Smistad et al. 2018, doi 10.1117/1.JMI.5.4.044004, there a Gaussian spot. `strength` is the
    range of the share of the grey value that is lost.
    """

    def __init__(self, strength: Range = (0.2, 0.7), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        draw = self.py_random.uniform
        count = self.py_random.randint(1, 2)
        bands = [
            (draw(*self.strength), draw(0, 1), draw(0.04, 0.12), draw(-0.1, 0.6))
            for _ in range(count)
        ]
        return {"bands": bands}

    def apply(self, img: Pixels, bands: list[tuple[float, ...]], **params: Any) -> Pixels:
        """Each band: its strength; its middle and half width in widths; its onset in heights."""
        y, x = (np.linspace(0, 1, size, dtype=np.float32) for size in img.shape)
        factor = np.ones(img.shape, dtype=np.float32)
        for strength, middle, half, onset in bands:
            # Soft at the sides, since the beam is wider than a column, and where it begins.
            across = np.clip(1.5 - 1.5 * ((x - middle) / half) ** 2, 0, 1)
            down = np.clip((y - onset) / 0.1, 0, 1)
            factor *= 1 - np.outer(strength * down, across)
        return _times(img, factor)


class Speckle(A.ImageOnlyTransform):
    """Other scatterers: grey values times 1 + Gaussian noise with grains as wide as the beam.

    Speckle multiplies (Burckhardt 1978), so black stays black. `strength` is the range of its
    standard deviation.
    """

    def __init__(self, strength: Range = (0.05, 0.15), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        grains = self.random_generator.standard_normal(GRAINS, dtype=np.float32)
        return {"grains": grains * np.float32(self.py_random.uniform(*self.strength))}

    def apply(self, img: Pixels, grains: Field, **params: Any) -> Pixels:
        height, width = img.shape
        return _times(img, 1 + _spread(_spread(grains, height).T, width).T)


class TimeGain(A.ImageOnlyTransform):
    """Sliders of time-gain compensation set otherwise: a smooth change of brightness with depth.

    Singla et al. 2022 (MIDL). `strength` is the range of the largest share that a slider adds or
    takes away.
    """

    def __init__(self, strength: Range = (0.1, 0.3), p: float = 0.5) -> None:
        super().__init__(p=p)
        self.strength = strength

    def get_params(self) -> dict[str, Any]:
        most = self.py_random.uniform(*self.strength)
        return {"sliders": self.random_generator.uniform(-most, most, (SLIDERS, 1))}

    def apply(self, img: Pixels, sliders: Field, **params: Any) -> Pixels:
        return _times(img, 1 + _spread(sliders.astype(np.float32), len(img)))


def _spread(knots: Field, size: int) -> Field:
    """Rows of knots -> `size` rows, with smooth ones between."""
    places = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(len(knots) / size) - 0.5
    return np.asarray(resampled(knots, places, cubic), dtype=np.float32)


def _times(image: Pixels, factor: Field) -> Pixels:
    rounded: Pixels = np.clip(image * factor + np.float32(0.5), 0, 255).astype(np.uint8)
    return rounded


class Custom(A.Compose):
    """The transform of a setting; whatever it does wrong is an InputError that names it."""

    def __init__(self, setting: str, transform: Any) -> None:
        # strict: an argument that albumentations does not know is an error, not a warning.
        super().__init__([transform], strict=True, mask_interpolation=cv2.INTER_NEAREST)
        self._setting = setting

    def __call__(self, image: Pixels, **masks: Pixels) -> dict[str, Pixels]:
        try:
            changed: dict[str, Pixels]
            changed = super().__call__(image=image, force_apply=True, **masks)
        except (cv2.error, CropSizeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self._setting}: it fails on a grey image: {error}") from error
        self._check(changed["image"], image.shape, 255)
        for mask in changed.get("masks", ()):
            self._check(mask, image.shape, 1)
        return changed

    def _check(self, result: Pixels, shape: tuple[int, ...], highest: int) -> None:
        if result.shape != shape:
            raise InputError(
                f"{self._setting}: gives an image or mask of {_by(result.shape)}, where "
                f"image_height x image_width is {_by(shape)}: end with a Resize to IMAGE_HEIGHT, "
                "IMAGE_WIDTH, and leave it grey"
            )
        if result.dtype != np.uint8 or result.max() > highest:
            raise InputError(
                f"{self._setting}: gives {result.dtype} up to {result.max()}, where uint8 up to "
                f"{highest} was expected: leave out what changes the type or fills masks"
            )


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _custom(setting: str, config: Config) -> Custom:
    """The transform of serialised albumentations, tried out; it meets images already resized.

    A Resize to IMAGE_HEIGHT, IMAGE_WIDTH therefore changes nothing, and crops cut from that size.
    The transforms above go by lib.augment.Shadow, lib.augment.Speckle, lib.augment.TimeGain.
    """
    tree = _parsed(setting, config)
    try:
        for entry in _entries(tree["transform"]):
            _translate(entry, setting)
        transform = Custom(setting, A.from_dict(tree))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{setting}: not a transform that albumentations {A.__version__} can build: "
            f"{type(error).__name__}: {error}"
        ) from error
    column = np.linspace(0, 255, config.image_height).astype(np.uint8)
    image = np.repeat(column[:, None], config.image_width, axis=1)
    for number in range(10):
        augment(transform, image, [image // 128], (0, 0, f"trial {number}"))
    return transform


def _parsed(setting: str, config: Config) -> dict[str, Any]:
    text = str(getattr(config, setting))
    for name in ("image_height", "image_width"):
        text = text.replace(name.upper(), str(getattr(config, name)))
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{setting}: not JSON: {error}") from None
    if not isinstance(tree, dict) or "transform" not in tree:
        raise InputError(
            f'{setting}: serialised albumentations were expected, {{"transform": ...}}, as '
            "json.dumps(A.to_dict(transform)) writes them"
        )
    return tree


def _entries(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A transform and all those within it."""
    yield entry
    for inner in entry.get("transforms", ()):
        yield from _entries(inner)


def _translate(entry: dict[str, Any], setting: str) -> None:
    """Refuses what cannot act here, and says the rest in albumentations 2's words."""
    name = shorten_class_name(entry["__class_fullname__"])
    if name in LATER_STEPS:
        raise InputError(f"{setting}: {name}: leave it out: {LATER_STEPS[name]}")
    if name not in SERIALIZABLE_REGISTRY:
        near = difflib.get_close_matches(name, SERIALIZABLE_REGISTRY, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InputError(
            f"{setting}: {name}: albumentations {A.__version__} has no such transform{hint}"
        )
    if entry.pop("always_apply", False):
        entry["p"] = 1.0
    for argument in GONE:
        if entry.get(argument, 0) is None:
            del entry[argument]


def _refuse_what_moves(transform: Any) -> None:
    """A prediction is laid on the image as it is on disk, so nothing may move before it."""
    if isinstance(transform, A.BaseCompose):
        for inner in transform:
            _refuse_what_moves(inner)
    elif not isinstance(transform, A.ImageOnlyTransform | A.Resize | A.NoOp):
        raise InputError(
            f"{INFERENCE}: {type(transform).__name__}: the prediction would not lie on the image: "
            "only what changes grey values acts here"
        )
