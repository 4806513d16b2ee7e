"""A finished run -> its scoring pipeline: a folder that needs neither torch nor this repository.

config.yaml, folds.csv, fold{k}/model.pt, decision.json -> scoring/
"""

import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from lib.artifacts.decision import load_decision
from lib.artifacts.folds import load_folds
from lib.artifacts.inference_settings import InferenceSettings
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from lib.runtime.versions import REPOSITORY
from tools.scoring.graph import Ensemble, load_ensemble, write_graph
from tools.scoring.samples import samples_of, write_samples

TEMPLATE = Path(__file__).with_name("pipeline")

PROGRAMS = ("score.py", "engines.py", "reading.py", "trust.py", "writing.py")
# They need nothing else of lib, and do alike there.
SHARED = [
    REPOSITORY / "lib" / name
    for name in ("data/pictures/dicom.py", "data/pictures/tiff.py", "runtime/cores.py")
]

PACKAGES = ("onnx", "onnxscript")

# What the scoring pipeline cannot do, and would leave out.
PLAIN = {"custom_inference_augmentations": "", "ensemble": [], "test_time_augmentations": []}


def export(config: Config) -> Path:
    """Writes runs/x/scoring and returns its path.

    The folder is made beside its place and renamed. InputError where a package is missing, or a
    setting has no place in the pipeline; whatever else it leaves alone.
    """
    require(config)
    folds, decision = load_folds(config), load_decision(config)
    # Of the images that the rule was chosen on: maybe not that of the present settings.
    inference = InferenceSettings.read(decision["inference"])
    _require_plain({**inference.content(), "ensemble": inference.weights})
    ensemble = load_ensemble(config, folds)
    folder = Run.of(config).scoring
    unfinished = folder.with_name(".scoring.part")
    shutil.rmtree(unfinished, ignore_errors=True)  # what a stopped run left
    unfinished.mkdir()
    write_graph(unfinished / "model.onnx", ensemble, config)
    _write_rule(unfinished, decision, ensemble, config)
    write_samples(unfinished / "samples", samples_of(ensemble, folds, decision, config))
    for name in (*PROGRAMS, "README.md", "requirements.txt"):
        shutil.copyfile(TEMPLATE / name, unfinished / name)
    for path in SHARED:
        shutil.copyfile(path, unfinished / path.name)
    _write_sums(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    return folder


def require(config: Config) -> None:
    """InputError where the settings or the packages that are installed allow no export."""
    _require_plain({name: getattr(config, name) for name in PLAIN})
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(
            f"the scoring pipeline needs {' and '.join(missing)} to write the networks: run\n  "
            f"{sys.executable} -m pip install -c constraints.txt {' '.join(PACKAGES)}"
        )


def _require_plain(settings: dict[str, Any]) -> None:
    for name, plain in PLAIN.items():
        if value := settings[name]:
            raise InputError(
                f"{name}: {value}: the scoring pipeline has no such step: run 03_infer.py and "
                f"04_make_submission.py with {name}={plain!r}"
            )


def _write_rule(folder: Path, decision: dict[str, Any], ensemble: Ensemble, config: Config) -> None:
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
        "quality": _quality(decision["quality"], ensemble),
        "models": decision["models"],
    }
    with written_whole(folder / "decision.json") as file:
        file.write((json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())


def _quality(told: dict[str, Any], ensemble: Ensemble) -> dict[str, Any]:
    """What the score to expect, and a percentile of unlikeness, follow from."""
    return {
        "about": told["about"],
        "metric": told["metric"],
        "expected": told["expected"],
        "unlike": told["unlike"] if ensemble.known else None,
    }


def _write_sums(folder: Path) -> None:
    """SHA256SUMS, which the program sha256sum -c checks too."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"
        for path in files
    ]
    with written_whole(folder / "SHA256SUMS") as file:
        file.write("".join(lines).encode())
