"""A finished run -> its scoring pipeline: a folder that needs neither torch nor this repository.

    python -m tools.scoring runs/x

config.yaml, folds.csv, fold{k}/model.pt, decision.json, mask_pca.npz -> scoring/

One graph holds all that a network does between the resized grey image and the mean probability of
the folds' networks, normalisation included: what runs it has nothing to get wrong.
"""

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lib.artifacts.decision import load_decision
from lib.artifacts.folds import Folds, load_folds
from lib.artifacts.run import run_folder
from lib.artifacts.shapes import load_shapes, shapes_path
from lib.config.fields import Config
from lib.config.read import load_config
from lib.data.pictures import Grey
from lib.dataset import Batch, resize
from lib.decision.rule import Mask, Rule, decide
from lib.decision.shapes import Shapes
from lib.inference.predict import Answer, answer_of, at_own_size, loaded_network
from lib.runtime.errors import InputError
from lib.runtime.files import existing, written_whole
from lib.unet import outputs_of, to_input
from tools.phantom.dataset import pictures

TEMPLATE = Path(__file__).with_name("pipeline")

PROGRAMS = ("score.py", "engines.py", "reading.py", "writing.py")

PACKAGES = ("onnx", "onnxscript")

LARGEST = 2**31 - 1  # bytes of an .onnx file

# What the scoring pipeline cannot do, and would leave out.
PLAIN = {"custom_inference_augmentations": "", "ensemble": [], "test_time_augmentations": []}

SAMPLES, CANDIDATES, SEEDS = 3, 4, (1, 2, 3)  # frames of each of three phantom people

SLACK = 2e-5  # by which engines and processors differ, in probability


class Ensemble(nn.Module):
    """Grey uint8 (1, 1, height, width) -> the networks' mean, as lib/inference/predict.py makes it.

    The probability (1, classes, height, width); then, where all networks tell it, the presence
    (1, classes).
    """

    def __init__(self, networks: Sequence[nn.Module], config: Config) -> None:
        super().__init__()
        self.networks, self._config = nn.ModuleList(networks), config

    def forward(self, grey: Tensor) -> tuple[Tensor, ...]:
        images = to_input(grey, self._config)
        answers = [answer_of(outputs_of(network, images)) for network in self.networks]
        presences = [answer.presence for answer in answers if answer.presence is not None]
        pixels = torch.stack([answer.pixels for answer in answers]).mean(0)
        if len(presences) < len(answers):
            return (pixels,)
        return pixels, torch.stack(presences).mean(0)


class Sample(NamedTuple):
    """A phantom frame and what torch and the rule make of it."""

    grey: npt.NDArray[np.uint8]
    probabilities: npt.NDArray[np.float32]  # (classes, height, width) at the network's size
    masks: npt.NDArray[np.uint8]  # (classes, height, width) of the frame
    unsure: int  # pixels of the masks that hang on less than SLACK


def export(config: Config) -> Path:
    """Writes runs/x/scoring and returns its path.

    The folder is made beside its place and renamed. InputError where a package is missing, or a
    setting has no place in the pipeline; whatever else it leaves alone.
    """
    require(config)
    folds, decision = load_folds(config), load_decision(config)
    way = decision["way"]  # of the images it was chosen on, maybe not that of the present settings
    _require_plain({name: way.get(name) for name in PLAIN} | {"ensemble": way["weights"]})
    ensemble = load_ensemble(config, folds)
    folder = run_folder(config) / "scoring"
    part = folder.with_name(".scoring.part")
    shutil.rmtree(part, ignore_errors=True)  # what a stopped run left
    part.mkdir()
    write_graph(part / "model.onnx", ensemble, config)
    _write_rule(part, decision, config)
    _write_samples(part / "samples", samples_of(ensemble, folds, decision, config))
    for name in (*PROGRAMS, "README.md", "requirements.txt"):
        shutil.copyfile(TEMPLATE / name, part / name)
    _write_sums(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder


def require(config: Config) -> None:
    """InputError where the settings or the packages that are installed allow no export."""
    _require_plain({name: getattr(config, name) for name in PLAIN})
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"the scoring pipeline needs {' and '.join(missing)} to write the networks: run\n  "
            f"{sys.executable} -m pip install {' '.join(PACKAGES)}"
        )


def _require_plain(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        if value:
            raise InputError(
                f"{name}: {value}: the scoring pipeline has no such step: run 03_infer.py and "
                f"04_make_submission.py with {name}={PLAIN[name]!r}"
            )


def load_ensemble(config: Config, folds: Folds) -> Ensemble:
    """The networks of the run's folds, in float32.

    Not as lib/model.placed has them: its autocast is of processors, and no part of a graph.
    """
    trained = [loaded_network(config, fold, folds.sha) for fold in config.fold_numbers]
    return Ensemble([one.network for one in trained], config).eval()


def write_graph(path: Path, ensemble: Ensemble, config: Config) -> None:
    """ONNX of one image at a time; without the paths of this machine that PyTorch puts into it."""
    import onnx_ir
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    grey = torch.zeros((1, 1, config.image_height, config.image_width), dtype=torch.uint8)
    with torch.inference_mode():
        names = ["probability", "presence"][: len(ensemble(grey))]
    program = torch.onnx.export(
        ensemble.eval(),
        (grey,),
        dynamo=True,
        input_names=["grey"],
        output_names=names,
        verbose=False,
    )
    if program is None:
        raise InputError(f"{config.architecture}: PyTorch cannot write it as ONNX")
    content = onnx_ir.to_proto(ClearMetadataAndDocStringPass()(program.model).model)
    if content.ByteSize() > LARGEST:
        raise InputError(
            f"{len(ensemble.networks)} networks are {content.ByteSize() / 2**30:.1f} GiB and an "
            "ONNX file holds 2: give fewer folds, as in folds=[0]"
        )
    with written_whole(path) as file:
        file.write(content.SerializeToString(deterministic=True))


def _write_rule(folder: Path, decision: dict[str, Any], config: Config) -> None:
    """decision.json with what masks depend on and their scores, and nothing of single people."""
    scores = {"about": decision["about"]["scores"], "all": decision["scores"]["all"]}
    scores["with_nerve"] = decision["scores"]["with_nerve"]
    content = {
        "about": decision["about"]["rules"],
        "rules": decision["rules"],
        "presence_head": decision["presence_head"],
        "network_size": [config.image_height, config.image_width],
        "image_bits": config.image_bits,
        "scores": scores,
        "models": decision["models"],
    }
    with written_whole(folder / "decision.json") as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
    if any(rule["mask_pca"] for rule in decision["rules"].values()):
        shapes = existing(shapes_path(config), "04_make_submission.py")
        shutil.copyfile(shapes, folder / "mask_pca.npz")


def samples_of(
    ensemble: Ensemble, folds: Folds, decision: dict[str, Any], config: Config
) -> list[Sample]:
    """Phantom frames at the training images' most frequent size, with masks of several areas.

    Of the candidates, those whose masks hang on rounding the least, to be held to the bit.
    """
    sizes = folds.table[["height", "width"]].value_counts()
    shape: tuple[int, int] = sizes.index[0]
    rules = {name: Rule(**rule) for name, rule in decision["rules"].items()}
    shapes = _shapes(rules, config)
    made = [
        _sample(resize(grey, shape), ensemble, rules, shapes, config)
        for seed in SEEDS
        for grey in pictures(CANDIDATES, seed)
    ]
    sure = sorted(made, key=lambda sample: sample.unsure)[: len(made) // 2]
    by_area = sorted(sure, key=lambda sample: int(sample.masks.sum()))
    places = np.linspace(0, len(by_area) - 1, SAMPLES).round().astype(int)
    return [by_area[place] for place in places]


def _shapes(rules: dict[str, Rule], config: Config) -> dict[str, Shapes | None]:
    members = load_shapes(config)
    return {
        name: Shapes(members[f"{name}_mean"], members[f"{name}_components"])
        if rule.mask_pca
        else None
        for name, rule in rules.items()
    }


def _sample(
    grey: Grey,
    ensemble: Ensemble,
    rules: dict[str, Rule],
    shapes: dict[str, Shapes | None],
    config: Config,
) -> Sample:
    small = torch.from_numpy(resize(grey, (config.image_height, config.image_width)))[None, None]
    size = torch.tensor([grey.shape])
    batch = Batch(torch.tensor([0]), small, torch.empty(0), size, torch.ones(1))
    with torch.inference_mode():
        found = ensemble(small)

    def masks(shift: float) -> Mask:
        answer = Answer(*(value + shift for value in found), *[None] * (2 - len(found)))
        prediction = next(at_own_size(answer, batch))
        parts = zip(prediction.probability, prediction.presence.tolist(), rules, strict=True)
        return np.stack([decide(p, told, rules[name], shapes[name]) for p, told, name in parts])

    plain = masks(0.0)
    unsure = sum(int((masks(shift) != plain).sum()) for shift in (-SLACK, SLACK))
    return Sample(grey, found[0][0].numpy(), plain, unsure)


def _write_samples(folder: Path, samples: Sequence[Sample]) -> None:
    """N.png, the masks to look at, and both with the probabilities as arrays."""
    (folder / "masks").mkdir(parents=True)
    for number, sample in enumerate(samples, 1):
        _write_png(folder / f"{number}.png", sample.grey)
        for k, mask in enumerate(sample.masks, 1):
            several = f"_{k}" if len(sample.masks) > 1 else ""
            _write_png(folder / "masks" / f"{number}{several}.png", mask * 255)
        with written_whole(folder / f"{number}.npz") as file:
            np.savez_compressed(file, probabilities=sample.probabilities, masks=sample.masks)


def _write_png(path: Path, pixels: Grey) -> None:
    with written_whole(path) as file:
        file.write(cv2.imencode(".png", pixels)[1].tobytes())


def _write_sums(folder: Path) -> None:
    """SHA256SUMS, which the program sha256sum -c checks too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    with written_whole(folder / "SHA256SUMS") as file:
        file.write("".join(lines).encode())


def config_of(folder: Path) -> Config:
    """The settings of a run's folder, wherever it was moved; InputError where it is none."""
    path = existing(folder / "config.yaml", "01_prepare_folds.py")
    whole = folder.resolve()
    return load_config(path, [f"runs_folder={whole.parent}", f"experiment_name={whole.name}"])
