"""A run of an older version goes on in 03 and 04, or is named with the step to run again."""

import json
from pathlib import Path
from typing import Any

import pytest

from lib.artifacts.caveats import sentence
from lib.artifacts.probabilities import Probabilities, ProbabilityWriter
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import SUMS, written_whole
from tests.conftest import chain, configured, step
from tools.report.run import read_run


def make_older(run: Run) -> None:
    """Gives the files of a finished run the shape that they had, without hashes."""
    (run.folder / SUMS).unlink()
    with run.settings.open("a") as file:
        file.write("fit_ensemble: false\n")
    rewrite(run.audit, lambda audit: audit | {"leaks": list(map(sentence, audit["leaks"]))})
    rewrite(run.decision, lambda found: found | {"way": found.pop("inference"), "caveats": []})
    for path in (*run.folder.glob("oof_fold*.npz"), run.test):
        make_older_probabilities(path)


def rewrite(path: Path, change: Any) -> None:
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def make_older_probabilities(path: Path) -> None:
    with Probabilities(path) as found:
        images = {image: found[image] for image in found.presence}
        presence, about = found.presence, found.provenance
    about["caveats"] = list(map(sentence, about["caveats"]))
    del about["weights"]
    with written_whole(path) as file, ProbabilityWriter(file, about) as writer:
        for image, array in images.items():
            writer.add(image, array, presence[image])


def test_an_older_run_goes_on_and_gives_the_same(
    finished: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(finished)
    run = Run.of(config)
    made = [path for path in run.folder.iterdir() if path.name in ("submission.csv", "oof_iou.csv")]
    before = {path: path.read_bytes() for path in made}
    make_older(run)
    for path in made:
        path.unlink()
    capsys.readouterr()
    for number in (2, 3, 4):
        step(number).main(config)
    out = capsys.readouterr().out
    assert out.count("is trained already") == 2
    assert out.count("is predicted already") == 3
    assert len(before) == 2
    assert {path: path.read_bytes() for path in made} == before
    assert read_run(run.folder, []).config.experiment_name == config.experiment_name


def test_an_older_run_with_caveats_is_named_with_the_steps_that_renew_it(
    settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured(settings, "validation_strategy=kfold", "early_stopping_epochs=5")
    chain(config)
    run = Run.of(config)
    folds = run.folds.read_bytes()
    make_older(run)
    refused(3, config, r"folds_audit.json is of an older version: run 01_prepare_folds.py again")
    refused(4, config, r"of an older version: run 0[13]_\w+.py again")
    capsys.readouterr()
    for number in (1, 2, 3, 4):
        step(number).main(config)
    out = capsys.readouterr().out
    assert run.folds.read_bytes() == folds
    assert out.count("is trained already") == 2
    assert "  LEAK  EPOCH CHOSEN ON THESE IMAGES" in out


def refused(number: int, config: Config, words: str) -> None:
    with pytest.raises(InputError, match=words):
        step(number).main(config)
