import math

import pytest
import torch

from lib.config.fields import FIELDS, Config
from lib.runtime.errors import InputError
from lib.training.learner import has_unused_weights
from lib.unet import build_model, needs_two_images, require_repeatable, to_input

LITE0 = "tu-tf_efficientnet_lite0"


@pytest.mark.parametrize("channels", [1, 3])
def test_logits_have_the_size_of_the_image(channels: int) -> None:
    model = build_model(Config(backbone="resnet18", image_channels=channels))
    assert model(torch.rand(2, channels, 64, 96)).shape == (2, 1, 64, 96)


@pytest.mark.parametrize(
    ("backbone", "near"), [("resnet43", "resnet34"), ("tu-tf_efficientnet_lite00", LITE0)]
)
def test_an_unknown_backbone_is_given_its_nearest(backbone: str, near: str) -> None:
    with pytest.raises(InputError, match=near):
        build_model(Config(backbone=backbone))


def test_a_backbone_that_has_no_steps_of_size_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="tu-vit_tiny_patch16_224 does not go with Unet"):
        build_model(Config(backbone="tu-vit_tiny_patch16_224"))


def test_grey_becomes_three_channels_between_0_and_1() -> None:
    images = torch.tensor([[[[0, 51], [102, 255]]]], dtype=torch.uint8)
    expected = torch.tensor([[0.0, 0.2], [0.4, 1.0]])
    three = to_input(images, Config())
    assert three.shape == (1, 3, 2, 2)
    assert all(torch.allclose(channel, expected) for channel in three[0])
    assert to_input(images, Config(image_channels=1)).shape == (1, 1, 2, 2)


BY_SD = [value / math.sqrt(35) for value in (-7, -3, 1, 9)]  # 12.75 times these, less the mean
NORMALIZED = [
    ("Simple", 1, [[0, 0.2, 0.4, 0.8]]),
    ("Simple", 3, [[0, 0.2, 0.4, 0.8]] * 3),
    ("ImageNet", 1, [[-1.98673, -1.10177, -0.21681, 1.55310]]),  # mean .449, SD .226
    (
        "ImageNet",
        3,
        [
            [-2.11790, -1.24454, -0.37118, 1.37555],
            [-2.03571, -1.14286, -0.25, 1.53571],
            [-1.80444, -0.91556, -0.02667, 1.75111],
        ],
    ),
    ("Image", 3, [BY_SD] * 3),
    ("Channel", 1, [BY_SD]),
    ("Min_Max", 3, [[0, 0.25, 0.5, 1]] * 3),
    ("None", 1, [[0.0, 51.0, 102.0, 204.0]]),
]


@pytest.mark.parametrize(("name", "channels", "expected"), NORMALIZED)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])  # Mixup makes them float32
def test_grey_values_are_normalized_by_hand_worked_values(
    name: str, channels: int, expected: list[list[float]], dtype: torch.dtype
) -> None:
    grey = torch.tensor([0, 51, 102, 204], dtype=dtype).view(1, 1, 2, 2)
    found = to_input(grey, Config(image_normalization=name, image_channels=channels))
    assert found.dtype == torch.float32
    assert torch.allclose(found.flatten(2)[0], torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("name", ["Image", "Channel", "Min_Max"])
def test_each_image_is_normalized_by_its_own_values_and_a_constant_one_is_0(name: str) -> None:
    image = torch.randint(0, 100, (1, 1, 8, 8)).float()
    images = torch.cat([image, 2 * image + 7, torch.full_like(image, 200)])
    first, second, constant = to_input(images, Config(image_normalization=name))
    assert torch.allclose(first, second, atol=1e-5)
    assert constant.eq(0).all()


def test_every_normalization_has_hand_worked_values() -> None:
    choices = set(FIELDS["image_normalization"].metadata["choices"])
    assert {name for name, _, _ in NORMALIZED} == choices


def test_a_training_that_a_gpu_cannot_repeat_is_refused_there() -> None:
    config = Config(deterministic=True, architecture="PSPNet")
    with pytest.raises(InputError, match="deterministic: PSPNet"):
        require_repeatable(torch.device("cuda"), config)
    require_repeatable(torch.device("cpu"), config)
    require_repeatable(torch.device("cuda"), Config(deterministic=True))


@pytest.mark.parametrize(
    ("architecture", "backbone"),
    [
        ("Unet", "resnet18"),
        ("Unet", "efficientnet-b0"),
        ("Unet", "timm-tf_efficientnet_lite0"),
        ("Unet", "tu-tf_efficientnet_lite0"),
        ("PSPNet", "resnet18"),
    ],
)
def test_processes_wait_for_no_gradient_that_never_comes(architecture: str, backbone: str) -> None:
    config = Config(architecture=architecture, backbone=backbone)
    network = build_model(config)
    network(torch.zeros(2, 3, 64, 64)).sum().backward()
    without = [name for name, weights in network.named_parameters() if weights.grad is None]
    assert has_unused_weights(config) == bool(without)


@pytest.mark.parametrize("architecture", FIELDS["architecture"].metadata["choices"])
@pytest.mark.parametrize("backbone", ["resnet18", "tu-test_efficientnet"])
def test_every_architecture_gives_a_map_of_the_images_size_for_each_class(
    architecture: str, backbone: str
) -> None:
    config = Config(architecture=architecture, backbone=backbone, image_channels=1)
    model = build_model(config, 2)
    assert type(model).__name__ == architecture
    logits = model(torch.zeros(2, 1, 128, 160))
    assert logits.shape == (2, 2, 128, 160)
    logits.sum().backward()
    assert all(p.grad is not None for p in model.segmentation_head.parameters())


@pytest.mark.parametrize(
    "architecture", ["Unet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus", "UPerNet"]
)
@pytest.mark.parametrize("side", [32, 64])
def test_a_network_that_cannot_train_on_one_image_is_known(architecture: str, side: int) -> None:
    config = Config(
        architecture=architecture, backbone="resnet18", image_height=side, image_width=side
    )
    network, image = build_model(config).train(), torch.zeros(1, 3, side, side)
    if needs_two_images(config):
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            network(image)
    else:
        network(image)
