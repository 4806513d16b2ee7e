"""The scoring pipeline of a run: the mean of its networks, and when it is refused."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.artifacts.decision import load_decision, save_decision
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.predict import answer_of
from lib.runtime.errors import InputError
from lib.unet import build_model, outputs_of, to_input
from tests.conftest import configured
from tools.scoring.export import export, require
from tools.scoring.graph import Ensemble

TINY = Config(backbone="tu-test_efficientnet", image_height=32, image_width=64)
GREY = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 64), dtype=np.uint8)


def networks(config: Config, heads: tuple[bool, ...]) -> list[torch.nn.Module]:
    torch.manual_seed(0)
    return [build_model(config, 1, head).eval() for head in heads]


@pytest.mark.parametrize(
    "normalization", ["Simple", "ImageNet", "Image", "Channel", "Min_Max", "None"]
)
def test_an_ensemble_is_the_mean_of_its_networks_on_normalised_images(normalization: str) -> None:
    config = replace(TINY, image_normalization=normalization)
    both = networks(config, (True, True))
    images = torch.from_numpy(GREY)
    with torch.inference_mode():
        answers = [answer_of(outputs_of(one, to_input(images, config))) for one in both]
        pixels, presence = Ensemble(both, config)(images)
    assert torch.equal(pixels, (answers[0].pixels + answers[1].pixels) / 2)
    assert answers[0].presence is not None and answers[1].presence is not None
    assert torch.equal(presence, (answers[0].presence + answers[1].presence) / 2)


def test_a_presence_is_told_only_where_all_networks_tell_it() -> None:
    config = TINY
    found = Ensemble(networks(config, (True, False)), config)(torch.from_numpy(GREY))
    assert len(found) == 1


def test_what_is_missing_is_said(config: Config) -> None:
    with pytest.raises(InputError, match=r"config.yaml is missing: run 01_prepare_folds.py first"):
        Run.of(config).config()


def test_a_decision_of_other_models_or_of_an_older_version_is_refused(
    finished: list[str],
) -> None:
    config = configured(finished)
    path = Run.of(config).model(1)
    path.write_bytes(path.read_bytes() + b"trained again")
    with pytest.raises(InputError, match=r"was chosen for other models than the present"):
        export(config)
    save_decision(config, {"rules": {}})
    with pytest.raises(InputError, match=r"of an older version: run 04_make_submission.py"):
        export(config)
    Run.of(config).decision.unlink()
    with pytest.raises(
        InputError, match=r"decision.json is missing: run 04_make_submission.py first"
    ):
        export(config)
    assert not Run.of(config).scoring.exists()


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (Config(test_time_augmentations=["Horizontal flip"]), "test_time_augmentations"),
        (Config(custom_inference_augmentations="{}"), "custom_inference_augmentations"),
    ],
)
def test_a_step_that_the_pipeline_has_not_is_refused(config: Config, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: .* the scoring pipeline has no such step"):
        require(config)


def test_a_rule_that_was_chosen_on_views_is_not_exported_without_them(finished: list[str]) -> None:
    config = configured(finished)
    decision = load_decision(config)
    decision["inference"] |= {"test_time_augmentations": ["Horizontal flip"]}
    save_decision(config, decision)
    with pytest.raises(InputError, match=r"test_time_augmentations: .* no such step.*tations=\[\]"):
        export(config)


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(
        InputError,
        match=r"needs onnxscript .*\n.* -m pip install -c constraints\.txt onnx onnxscript",
    ):
        require(Config())
