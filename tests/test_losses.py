import math

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.bce_dice import SMOOTH, bce_per_image, dice_per_image
from lib.config.fields import FIELDS, Config
from lib.losses import (
    LOSSES,
    SUMS,
    TVERSKY_ALPHA,
    TVERSKY_BETA,
    Loss,
    focal_per_image,
    loss_per_image,
    lovasz_per_image,
    presence_per_image,
    training_loss,
)
from lib.unet import Outputs

NAMES = [*LOSSES, *SUMS]


def image(values: list[float]) -> torch.Tensor:
    """(1, 1, 1, pixels)"""
    return torch.tensor(values, dtype=torch.float32)[None, None, None]


def test_bce_of_hand_worked_pixels() -> None:
    logits = image([0.0, math.log(3)])  # probabilities 1/2 and 3/4
    expected = (math.log(2) + math.log(4)) / 2
    assert bce_per_image(logits, image([1, 0])).tolist() == pytest.approx([expected])


def test_focal_of_hand_worked_pixels() -> None:
    logits = image([0.0, math.log(3)])  # probabilities of what is true: 1/2 and 1/4
    expected = (0.5**2 * math.log(2) + 0.75**2 * math.log(4)) / 2
    assert focal_per_image(logits, image([1, 0])).tolist() == pytest.approx([expected])


@pytest.mark.parametrize(
    ("logits", "mask", "both", "total"),
    [
        ([0, 0, 0, 0], [1, 1, 0, 0], 1.0, 4.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0, 2.0),
        ([99, 99, -99, -99], [1, 1, 0, 0], 2.0, 4.0),
        ([-99, -99, -99, -99], [0, 0, 0, 0], 0.0, 0.0),
        ([-99, -99, -99, -99], [1, 1, 0, 0], 0.0, 2.0),
    ],
)
def test_dice_of_hand_worked_pixels(
    logits: list[float], mask: list[float], both: float, total: float
) -> None:
    smooth = SMOOTH * 4
    expected = 1 - (2 * both + smooth) / (total + smooth)
    found = dice_per_image(image(logits), image(mask)).tolist()
    assert found == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(("name", "alpha", "beta"), [("Jaccard", 1, 1), ("Tversky", 0.3, 0.7)])
@pytest.mark.parametrize(
    ("logits", "mask", "both", "false", "missed"),
    [
        ([0, 0, 0, 0], [1, 1, 0, 0], 1.0, 1.0, 1.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0, 2.0, 0.0),
        ([0, 0, 0, 0], [1, 1, 1, 1], 2.0, 0.0, 2.0),
        ([99, 99, -99, -99], [1, 1, 0, 0], 2.0, 0.0, 0.0),
        ([99, -99, 99, -99], [1, 1, 0, 0], 1.0, 1.0, 1.0),
        ([-99, -99, -99, -99], [0, 0, 0, 0], 0.0, 0.0, 0.0),
        ([-99, -99, -99, -99], [1, 1, 1, 0], 0.0, 0.0, 3.0),
        ([0, 0, 0, 0], [0.3, 0.3, 0.9, 0.9], 1.6, 0.4, 0.8),
    ],
)
def test_jaccard_and_tversky_of_hand_worked_pixels(
    logits: list[float],
    mask: list[float],
    both: float,
    false: float,
    missed: float,
    name: str,
    alpha: float,
    beta: float,
) -> None:
    smooth = SMOOTH * 4 / 2
    expected = 1 - (both + smooth) / (both + alpha * false + beta * missed + smooth)
    found = loss_per_image(name, image(logits), image(mask)).tolist()
    assert found == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        # Errors 1.5, .5, -1; 1 - IoU after each: 1/2, 2/3, 1 of the nerve, 1/2, 1, 1 of the rest.
        ([1, 0, 0], (1.5 / 2 + 0.5 / 6 + 1.5 / 2 + 0.5 / 2) / 2),
        ([0, 0, 0], (3 + 1.5 + 0.5) / 3),  # all pixels count alike
        ([1, 1, 1], (1.5 + 0.5) / 3),
    ],
)
def test_lovasz_of_hand_worked_pixels(mask: list[float], expected: float) -> None:
    found = lovasz_per_image(image([2.0, -0.5, 0.5]), image(mask)).tolist()
    assert found == pytest.approx([expected])


def test_no_pixel_of_an_empty_image_weighs_as_much_as_a_nerve_with_lovasz() -> None:
    """Else a network learns to mark nothing: a batch has as many empty images as others."""
    logits = torch.linspace(-0.9, 0.9, 64).view(1, 1, 8, 8).expand(2, -1, -1, -1).clone()
    masks = torch.zeros(2, 1, 8, 8)
    masks[1, 0, :2, :2] = 1
    logits.requires_grad_()
    lovasz_per_image(logits, masks).sum().backward()
    assert logits.grad is not None
    assert logits.grad[0].max() == pytest.approx(1 / 64)
    assert logits.grad[1, 0, :2, :2].sum() < -0.3


def smp_lovasz(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    hinge = smp.losses.LovaszLoss("binary")
    halves: torch.Tensor = hinge(logits, mask) + hinge(-logits, 1 - mask)
    return halves / 2


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("Dice", smp.losses.DiceLoss("binary", smooth=0.0)),
        ("Focal", smp.losses.FocalLoss("binary")),
        ("Jaccard", smp.losses.JaccardLoss("binary", smooth=0.0)),
        ("Lovasz", smp_lovasz),
        ("Tversky", smp.losses.TverskyLoss("binary", alpha=TVERSKY_ALPHA, beta=TVERSKY_BETA)),
    ],
)
@given(seed=st.integers(0, 2**32 - 1), soft=st.booleans())
def test_the_loss_of_one_image_is_that_of_segmentation_models_pytorch(
    name: str, theirs: Loss, seed: int, soft: bool
) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((1, 1, 8, 9), generator=random)
    mask = torch.rand((1, 1, 8, 9), generator=random)
    mask = mask if soft else (mask > 0.5).float()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.losses.SMOOTH", 0.0)
        patch.setattr("lib.bce_dice.SMOOTH", 0.0)
        ours = loss_per_image(name, logits, mask)
    assert ours.item() == pytest.approx(theirs(logits, mask).item(), abs=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_each_image_of_a_batch_has_its_own_loss(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((3, 1, 8, 9), generator=random)
    masks = (torch.rand((3, 1, 8, 9), generator=random) > 0.5).to(torch.uint8)
    together = loss_per_image(name, logits, masks)
    alone = [loss_per_image(name, logits[i : i + 1], masks[i : i + 1]).item() for i in range(3)]
    assert together.tolist() == pytest.approx(alone)


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_an_image_is_the_mean_over_its_classes(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((2, 3, 8, 9), generator=random)
    masks = (torch.rand((2, 3, 8, 9), generator=random) > 0.5).float()
    alone = torch.stack([loss_per_image(name, logits[:, [k]], masks[:, [k]]) for k in range(3)])
    assert torch.allclose(loss_per_image(name, logits, masks), alone.mean(0))


@pytest.mark.parametrize("name", NAMES)
@given(seed=st.integers(0, 2**32 - 1), step=st.floats(0.01, 10))
def test_the_loss_falls_when_the_prediction_improves(name: str, seed: int, step: float) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = torch.rand((2, 1, 8, 9), generator=random) * 2 - 1
    masks = (torch.rand((2, 1, 8, 9), generator=random) > 0.5).float()
    masks[1] = 0
    better = logits + step * (2 * masks - 1)
    assert (loss_per_image(name, better, masks) < loss_per_image(name, logits, masks)).all()


@pytest.mark.parametrize("name", sorted({*NAMES} - {"Lovasz"}))
def test_the_best_prediction_of_a_soft_mask_is_the_mask(name: str) -> None:
    mask = image([0.1, 0.3, 0.5, 0.9])
    best = loss_per_image(name, mask.logit(), mask)
    for change in torch.cat([torch.eye(4), -torch.eye(4)]):
        assert loss_per_image(name, mask.logit() + 0.3 * change, mask) > best


def test_lovasz_asks_of_a_soft_pixel_a_logit_the_larger_the_less_sure_it_is() -> None:
    logits, mask = image([-1.25, 2.5, 1.0]), image([0.1, 0.7, 1.0])
    assert lovasz_per_image(logits, mask).item() == pytest.approx(0, abs=1e-6)
    assert lovasz_per_image(0.9 * logits, mask).item() == pytest.approx(0.1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mask", [[0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
def test_logits_without_doubt_are_finite_and_cost_nothing_where_right(
    name: str, mask: list[float]
) -> None:
    right = (200 * image(mask) - 100).requires_grad_()
    wrong = (100 - 200 * image(mask)).requires_grad_()
    losses = torch.cat([loss_per_image(name, logits, image(mask)) for logits in (right, wrong)])
    losses.sum().backward()
    assert losses[0].item() == pytest.approx(0, abs=1e-6)
    assert 0.9 < losses[1].item() < 210
    for logits in (right, wrong):
        assert logits.grad is not None
        assert logits.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("soft", [False, True])
def test_the_gradient_is_that_of_small_differences(name: str, soft: bool) -> None:
    random = torch.Generator().manual_seed(1)
    logits = torch.randn((2, 2, 2, 3), generator=random, dtype=torch.float64, requires_grad=True)
    masks = torch.rand((2, 2, 2, 3), generator=random, dtype=torch.float64)
    masks = masks if soft else masks.round()
    masks[0, 0] = 0
    assert torch.autograd.gradcheck(LOSSES[name], (logits, masks))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_mask_has_a_gradient_that_lowers_every_probability(name: str) -> None:
    logits = torch.linspace(-0.9, 5, 64).view(1, 1, 8, 8).requires_grad_()
    loss_per_image(name, logits, torch.zeros(1, 1, 8, 8)).sum().backward()
    assert logits.grad is not None
    assert (logits.grad > 0).all()


# Focal and Lovasz are done with an empty image by then.
@pytest.mark.parametrize("name", sorted({*NAMES} - {"Focal", "Lovasz"}))
def test_an_all_empty_batch_has_a_gradient_that_lowers_probabilities(name: str) -> None:
    logits = torch.full((2, 1, 64, 64), -4.0, requires_grad=True)
    loss_per_image(name, logits, torch.zeros(2, 1, 64, 64)).sum().backward()
    assert logits.grad is not None
    # A logit step of 1 everywhere changes the loss by more than a hundredth.
    assert logits.grad.sum((1, 2, 3)).min() > 0.01


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", NAMES)
def test_the_loss_of_16_bit_logits_is_that_of_the_same_in_float32(
    name: str, half: torch.dtype
) -> None:
    """Also within autocast, and of an image whose sums no float16 holds."""
    logits = torch.linspace(-30, 30, 300 * 300).view(1, 1, 300, 300).to(half)
    masks = (logits > 1).to(half)
    with torch.autocast("cpu", half):
        found = loss_per_image(name, logits, masks)
    assert found.dtype == torch.float32
    assert torch.equal(found, loss_per_image(name, logits.float(), masks.float()))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_the_loss_of_presence_is_float32(half: torch.dtype) -> None:
    logits, masks = torch.tensor([[30.0], [-30.0]], dtype=half), torch.ones(2, 1, 8, 8, dtype=half)
    with torch.autocast("cpu", half):
        found = presence_per_image(logits, masks)
    assert found.dtype == torch.float32
    assert found.tolist() == pytest.approx([0, 30])


@pytest.mark.parametrize(("name", "pixels"), [("BCEDice", "BCE"), ("FocalDice", "Focal")])
def test_a_sum_is_that_of_its_parts_with_the_weight_of_dice(name: str, pixels: str) -> None:
    logits, masks = torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    first = loss_per_image(pixels, logits, masks)
    dice = loss_per_image("Dice", logits, masks)
    assert torch.equal(loss_per_image(name, logits, masks), first + dice)
    assert torch.equal(loss_per_image(name, logits, masks, dice_weight=0.25), first + 0.25 * dice)


@pytest.mark.parametrize("name", NAMES)
def test_training_lowers_the_loss_that_is_asked_for(name: str) -> None:
    logits, masks = torch.randn(3, 1, 8, 8), torch.randint(0, 2, (3, 1, 8, 8))
    outputs, weight = Outputs(logits, None), 0.25 if name in SUMS else 1.0
    found = training_loss(outputs, masks, Config(loss_function=name, dice_weight=weight))
    assert torch.equal(found, loss_per_image(name, logits, masks, weight))


def test_the_presence_head_is_trained_with_the_weight_that_is_asked_for() -> None:
    """Probabilities 1/4 of one class that is there and 1/2 of another that is not."""
    logits, masks = torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
    masks[0, 0, 3, 3] = 1
    presence = torch.tensor([[-math.log(3), 0.0]])
    expected = (math.log(4) + math.log(2)) / 2
    assert presence_per_image(presence, masks).tolist() == pytest.approx([expected])
    alone = training_loss(Outputs(logits, None), masks, Config(presence_head=0.5))
    both = training_loss(Outputs(logits, presence), masks, Config(presence_head=0.5))
    assert (both - alone).tolist() == pytest.approx([0.5 * expected])


def test_every_loss_can_be_chosen() -> None:
    assert set(FIELDS["loss_function"].metadata["choices"]) == set(NAMES)
