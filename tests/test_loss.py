import math

import pytest
import segmentation_models_pytorch as smp
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib.loss import LOSSES, SMOOTH, bce_per_image, dice_per_image, loss_per_image


def image(values: list[float]) -> torch.Tensor:
    """(1, 1, 1, pixels)"""
    return torch.tensor(values, dtype=torch.float32)[None, None, None]


def test_bce_of_hand_worked_pixels() -> None:
    logits = image([0.0, math.log(3)])  # probabilities 1/2 and 3/4
    expected = (math.log(2) + math.log(4)) / 2
    assert bce_per_image(logits, image([1, 0])).tolist() == pytest.approx([expected])


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


@given(st.integers(0, 2**32 - 1))
def test_dice_of_one_image_is_that_of_segmentation_models_pytorch(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn((1, 1, 8, 9), generator=random)
    mask = (torch.rand((1, 1, 8, 9), generator=random) > 0.5).float()
    theirs = smp.losses.DiceLoss("binary", smooth=0.0)(logits, mask)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lib.loss.SMOOTH", 0.0)
        ours = dice_per_image(logits, mask)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_each_image_of_a_batch_has_its_own_loss(name: str) -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn((3, 1, 8, 9), generator=random)
    masks = (torch.rand((3, 1, 8, 9), generator=random) > 0.5).to(torch.uint8)
    together = loss_per_image(name, logits, masks)
    alone = [loss_per_image(name, logits[i : i + 1], masks[i : i + 1]).item() for i in range(3)]
    assert together.tolist() == pytest.approx(alone)


@pytest.mark.parametrize("name", LOSSES)
def test_an_all_empty_batch_has_a_gradient_that_lowers_probabilities(name: str) -> None:
    logits = torch.full((2, 1, 64, 64), -4.0, requires_grad=True)
    loss_per_image(name, logits, torch.zeros(2, 1, 64, 64)).sum().backward()
    assert logits.grad is not None
    # A logit step of 1 everywhere changes the loss by more than a hundredth.
    assert logits.grad.sum((1, 2, 3)).min() > 0.01


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_is_float32_under_bfloat16_logits(name: str) -> None:
    logits = torch.randn(1, 1, 8, 8, dtype=torch.bfloat16)
    assert loss_per_image(name, logits, torch.zeros(1, 1, 8, 8)).dtype == torch.float32


def test_bce_dice_is_the_sum() -> None:
    logits, masks = torch.randn(2, 1, 8, 8), torch.ones(2, 1, 8, 8)
    total = loss_per_image("BCE", logits, masks) + loss_per_image("Dice", logits, masks)
    assert torch.allclose(loss_per_image("BCEDice", logits, masks), total)
