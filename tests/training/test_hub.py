"""Weights from the Hugging Face hub: here a server on this machine, so no network is needed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.conftest import REPOSITORY
from tests.training.hub import free_port, served

SMPS, TIMMS = "resnet34", "tu-test_resnet"
BOTH = pytest.mark.parametrize("backbone", [SMPS, TIMMS])

# For each backbone that it reads: the hash of the encoder's weights, or what is wrong.
STARTS = """
import sys
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.training.pretrained import load_pretrained
from lib.unet import build_model

for line in sys.stdin:
    config = Config(backbone=line.strip())
    model = build_model(config)
    try:
        origin = load_pretrained(model, config)
        first = next(p for p in model.encoder.parameters() if p.ndim == 4)
        print(f"{first.double().sum().item()} from {origin}", flush=True)
    except InputError as error:
        print(error, flush=True)
"""


class Starts:
    """A process that loads an encoder again and again, as each start of a training does."""

    def __init__(self, folder: Path) -> None:
        self.files, self.home, self.port = folder / "files", folder / "home", free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-c", STARTS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=REPOSITORY,
            env=os.environ
            | {"HF_ENDPOINT": f"http://127.0.0.1:{self.port}", "HF_HOME": str(self.home)}
            | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        )

    def start(self, backbone: str) -> str:
        assert self.process.stdin and self.process.stdout
        print(backbone, file=self.process.stdin, flush=True)
        return self.process.stdout.readline()

    def cached(self) -> list[Path]:
        return [path for path in self.home.rglob("snapshots/*/*") if path.suffix != ".json"]


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Starts]:
    starts = Starts(tmp_path_factory.mktemp("hub"))
    yield starts
    starts.process.communicate()


@pytest.fixture
def starts(process: Starts) -> Starts:
    """With an empty cache, and a hub without files."""
    for folder in (process.home, process.files):
        shutil.rmtree(folder, ignore_errors=True)
    process.files.mkdir()
    return process


def repository(backbone: str) -> str:
    if backbone == SMPS:
        return str(smp.encoders.encoders[SMPS]["pretrained_settings"]["imagenet"]["repo_id"])
    known = timm.get_pretrained_cfg(backbone.removeprefix("tu-"))
    assert known
    return str(known.hf_hub_id)


def put_on_hub(starts: Starts, backbone: str, name: str = "model.safetensors") -> tuple[Path, str]:
    """Weights as the hub has them: their file, and what a start that finds them says."""
    if backbone == SMPS:
        weights: dict[str, Tensor] = smp.encoders.get_encoder(SMPS, weights=None).state_dict()
    else:
        weights = timm.create_model(backbone.removeprefix("tu-")).state_dict()
    path = starts.files / repository(backbone) / name
    path.parent.mkdir(parents=True)
    path.with_name("config.json").write_text("{}")
    save_file(weights, path) if name.endswith("safetensors") else torch.save(weights, path)
    first = next(tensor for tensor in weights.values() if tensor.ndim == 4)
    return path, f"{first.double().sum().item()} from the Hugging Face hub\n"


@BOTH
def test_weights_are_fetched_once_and_then_read_from_the_cache(
    starts: Starts, backbone: str
) -> None:
    path, expected = put_on_hub(starts, backbone)
    with served(starts.files, starts.port) as hub:
        assert starts.start(backbone) == expected
        assert sum(f"GET /{repository(backbone)}/" in line for line in hub.asked) in (1, 2)
        assert any(line.startswith("GET") and path.name in line for line in hub.asked)
    assert starts.start(backbone) == expected  # the hub is out of reach


def test_weights_in_pytorchs_own_format_are_fetched_too(starts: Starts) -> None:
    _, expected = put_on_hub(starts, TIMMS, "pytorch_model.bin")
    with served(starts.files, starts.port):
        assert starts.start(TIMMS) == expected


@BOTH
def test_a_file_that_the_hub_lacks_is_an_error_until_it_is_there(
    starts: Starts, backbone: str
) -> None:
    path, expected = put_on_hub(starts, backbone)
    path.rename(path.with_suffix(".away"))
    with served(starts.files, starts.port):
        told = starts.start(backbone)
        assert f"weights of {backbone} could not be fetched (RemoteEntryNotFoundError)" in told
        path.with_suffix(".away").rename(path)
        assert starts.start(backbone) == expected


@pytest.mark.parametrize(
    ("backbone", "fault"),
    [
        (SMPS, "half"),
        (SMPS, "another network"),
        (TIMMS, "half"),
        (TIMMS, "a page of a proxy"),
        (TIMMS, "another network"),
    ],
)
def test_a_file_that_is_not_the_encoder_is_an_error_and_leaves_the_cache(
    starts: Starts, backbone: str, fault: str
) -> None:
    path, expected = put_on_hub(starts, backbone)
    good = path.read_bytes()
    if fault == "another network":
        save_file({"layer.weight": torch.randn(3, 3, 3, 3)}, path)
    else:
        path.write_bytes(good[: len(good) // 2] if fault == "half" else b"<html>Sign in</html>")
    with served(starts.files, starts.port):
        told = starts.start(backbone)
        assert f"weights of {backbone} are " in told
        assert "another network" in told and "is deleted: start again" in told
        assert starts.cached() == []
        path.write_bytes(good)
        assert starts.start(backbone) == expected


def test_a_connection_that_breaks_is_an_error_and_the_next_start_goes_on(starts: Starts) -> None:
    path, expected = put_on_hub(starts, TIMMS)
    with served(starts.files, starts.port) as hub:
        hub.cut = {path.name}
        assert f"weights of {TIMMS} could not be fetched" in starts.start(TIMMS)
        assert starts.cached() == []
        hub.cut = set()
        assert starts.start(TIMMS) == expected
