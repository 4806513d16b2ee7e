"""Predictions in 16 bits beside those in float32."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lib.artifacts.probabilities import Probabilities
from lib.artifacts.run import Run
from lib.inference.predict import Unfinished, require_numbers
from lib.runtime.errors import InputError
from tests.conftest import configured, step


def predicted(path: Path) -> np.ndarray:
    """All pixels of all images, 0..255."""
    with Probabilities(path) as file:
        return np.concatenate([file[name].ravel() for name in sorted(file.presence)]).astype(int)


def test_float16_is_as_near_to_float32_as_bfloat16(
    finished: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Run.of(configured(finished)).oof(0)
    exact, errors, masks = predicted(path), {}, {}
    for half in (torch.bfloat16, torch.float16):
        monkeypatch.setattr("lib.runtime.device.half_type", lambda _, it=half: it)
        path.unlink()
        step(3).main(configured(finished, "mixed_precision_inference=true"))
        found = predicted(path)
        errors[half] = np.abs(found - exact).mean()
        masks[half] = ((found > 127) != (exact > 127)).mean()
    assert "on the processor, float16" in capsys.readouterr().out
    assert 0 < errors[torch.float16] <= errors[torch.bfloat16]
    assert masks[torch.float16] <= masks[torch.bfloat16] < 0.05


@pytest.mark.parametrize(
    ("more", "way_out"),
    [
        (["mixed_precision_inference=true"], "set mixed_precision_inference=false"),
        (["mixed_precision_inference=false"], "Train it again"),
    ],
)
def test_a_probability_that_is_no_number_is_an_error_with_the_images_name(
    settings: list[str], more: list[str], way_out: str
) -> None:
    """As float16 gives them beyond 65,504."""
    pixels = np.zeros((1, 4, 4), np.float32)
    good, bad = (Unfinished(row, pixels + row, None, (4, 4), None) for row in (0, 1))
    bad.pixels[0, 2, 2] = np.nan
    table = pd.DataFrame({"image": ["1_1", "1_2"]})
    require_numbers([good], table, configured(settings, *more))
    with pytest.raises(InputError, match=rf"no number as the probability of 1_2: .*{way_out}"):
        require_numbers([good, bad], table, configured(settings, *more))


def test_03_refuses_a_network_that_gives_no_numbers(finished: list[str]) -> None:
    config = configured(finished)
    for fold in (0, 1):
        path = Run.of(config).model(fold)
        content = torch.load(path, weights_only=True)
        content["weights"]["segmentation_head.0.bias"].fill_(torch.nan)
        torch.save(content, path)
        (path.parent / "checksums.json").unlink()
    with pytest.raises(InputError, match="no number as the probability of"):
        step(3).main(config)
