"""Settings -> network, its inputs and its outputs."""

import difflib
from collections.abc import Callable
from typing import NamedTuple

import segmentation_models_pytorch as smp
import timm
import torch
from torch import Tensor, nn

from lib.config.fields import Config
from lib.runtime.errors import InputError

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

POOL_TO_ONE_PIXEL = {"DeepLabV3", "DeepLabV3Plus", "PAN", "UPerNet"}
# Pixels of an image, down and across, to one of the encoder's last features.
STRIDE, STRIDE_OF_PSPNET = 32, 8

NOT_REPEATABLE = {"PSPNet", "UPerNet"}  # on a GPU: they pool to several sizes


class Outputs(NamedTuple):
    logits: Tensor  # (n, classes, height, width)
    presence: Tensor | None  # (n, classes): logits of the presence head, where there is one
    features: Tensor | None = None  # (n, channels): what `seen_by` tells of the image as a whole


def build_model(
    config: Config, classes: int = 1, presence_head: bool = False
) -> smp.base.SegmentationModel:
    """A network (n, image_channels, height, width) -> what `outputs_of` reads.

    The presence head is segmentation-models-pytorch's classification head: a linear layer on the
    mean of the encoder's last features. With random weights; `load_pretrained` or a checkpoint
    brings others. InputError for a backbone that nobody knows names the nearest.
    """
    _require_encoder(config.backbone)
    try:
        return smp.create_model(
            config.architecture.lower(),
            config.backbone,
            encoder_weights=None,
            in_channels=config.image_channels,
            classes=classes,
            aux_params={"classes": classes} if presence_head else None,
        )
    except (ValueError, RuntimeError, KeyError) as error:
        raise InputError(
            f"backbone: {config.backbone} does not go with {config.architecture} ({error})"
        ) from error


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """On its device, channels last: faster for convolutions on GPUs and processors alike."""
    return model.to(device).to(memory_format=torch.channels_last)


class InFloat32(nn.Module):
    """Put before a kind of convolution, it keeps that out of autocast on a processor.

    For large depthwise kernels oneDNN has no fast bfloat16 gradient: it takes 3 to 6 times as long
    as the float32 one (5x5; at 3x3 bfloat16 is ahead), a sixth of an EfficientNet's training step.
    """

    def forward(self, input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float()).to(input.dtype)


def placed_to_train(model: nn.Module, device: torch.device) -> nn.Module:
    """`placed`, and its gradients are fast on a processor."""
    if device.type == "cpu":
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1 and module.kernel_size[0] >= 5:
                kind = type(module)
                module.__class__ = type(f"Float32{kind.__name__}", (InFloat32, kind), {})
    return placed(model, device)


def outputs_of(model: nn.Module, images: Tensor) -> Outputs:
    """The network's answer to what `to_input` made."""
    answer = model(images)
    return Outputs(*answer) if isinstance(answer, tuple) else Outputs(answer, None)


def seen_by(model: nn.Module, images: Tensor) -> Outputs:
    """`outputs_of`, with the mean over the image of the encoder's last features but one.

    Those tell an image of another kind from those that the network knows; the last are too much of
    the nerve, the first of the grey values (docs/benchmarks.md). None for a network of another
    make.
    """
    if not isinstance(model, smp.base.SegmentationModel):
        return outputs_of(model, images)
    features = model.encoder(images)
    logits = model.segmentation_head(model.decoder(features))
    head = model.classification_head
    presence = None if head is None else head(features[-1])
    return Outputs(logits, presence, features[-2].mean((2, 3)))


def to_input(images: Tensor, config: Config) -> Tensor:
    """Grey values 0..255 (n, 1, height, width) -> float32 (n, image_channels, height, width).

    As image_normalization says; each of NORMALIZATIONS has its own words.
    """
    grey = NORMALIZATIONS[config.image_normalization](images.float())
    values = grey.expand(-1, config.image_channels, -1, -1)
    if config.image_normalization == "ImageNet":
        values = _as_imagenet(values)
    return values.contiguous(memory_format=torch.channels_last)


def _simple(grey: Tensor) -> Tensor:
    """0..1."""
    return grey / 255


def _by_image(grey: Tensor) -> Tensor:
    """Less the image's mean, over its SD; a constant image is 0."""
    spread, mean = torch.std_mean(grey, (1, 2, 3), correction=0, keepdim=True)
    return (grey - mean) / spread.clamp(min=1)


def _min_max(grey: Tensor) -> Tensor:
    """The image's darkest pixel 0, its brightest 1; a constant image is 0."""
    low, high = grey.amin((1, 2, 3), keepdim=True), grey.amax((1, 2, 3), keepdim=True)
    return (grey - low) / (high - low).clamp(min=1)


def _as_imagenet(values: Tensor) -> Tensor:
    """0..1, less ImageNet's means, over its SDs; of one channel the means of those."""
    mean, spread = values.new_tensor(IMAGENET_MEAN), values.new_tensor(IMAGENET_SD)
    if values.shape[1] == 1:
        mean, spread = mean.mean(), spread.mean()
    return (values - mean.view(-1, 1, 1)) / spread.view(-1, 1, 1)


# All channels are the same, so those of each and those of the whole image are one.
NORMALIZATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Simple": _simple,
    "ImageNet": _simple,
    "Image": _by_image,
    "Channel": _by_image,
    "Min_Max": _min_max,
    "None": lambda grey: grey,
}


def needs_two_images(config: Config) -> bool:
    """Whether batch statistics are taken of one pixel an image, which needs a second image."""
    stride = STRIDE_OF_PSPNET if config.architecture == "PSPNet" else STRIDE
    smallest = config.image_height * config.image_width <= stride * stride
    return smallest or config.architecture in POOL_TO_ONE_PIXEL


def require_repeatable(device: torch.device, config: Config) -> None:
    """InputError for a training that a GPU can do, but not twice alike."""
    if device.type == "cuda" and config.deterministic and config.architecture in NOT_REPEATABLE:
        raise InputError(
            f"deterministic: {config.architecture} pools in a way whose gradient a GPU has no "
            "repeatable kernel for: choose another architecture, or deterministic=false"
        )


def _require_encoder(backbone: str) -> None:
    known = smp.encoders.get_encoder_names()
    if backbone in known:
        return
    timms = [f"tu-{name}" for name in timm.list_models()]
    if backbone in timms:
        return
    near = difflib.get_close_matches(backbone, [*known, *timms], n=3, cutoff=0.4)
    raise InputError(f"backbone: {backbone!r} is not known; near: {', '.join(near) or 'none'}")
