"""Averages of runs: by hand on small arrays, then through the steps."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lib.artifacts.caveats import marks
from lib.artifacts.probabilities import Probabilities, ProbabilityWriter
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.inference.ensemble import averaged
from lib.runtime.errors import InputError
from lib.runtime.files import written_whole
from tests.conftest import configured, settings_in, step, write_competition


def written(path: Path, images: dict[str, list], presence: float, head: bool) -> Probabilities:
    """A probability file of images (height, width), or (classes, height, width)."""
    about = {"presence_head": head}
    with written_whole(path) as file, ProbabilityWriter(file, about) as writer:
        for image, pixels in images.items():
            array = np.array(pixels, dtype=np.uint8)
            array = array[None] if array.ndim == 2 else array
            writer.add(image, array, np.full(len(array), presence, dtype=np.float32))
    return Probabilities(path)


def mean_of(tmp_path: Path, heads: bool) -> dict[str, tuple[np.ndarray, float]]:
    members = [
        written(tmp_path / "a.npz", {"1": [[0, 100]], "2": [[255, 3]]}, 0.2, True),
        written(tmp_path / "b.npz", {"2": [[255, 1]], "1": [[200, 50]]}, 0.6, heads),
    ]
    found = averaged(members, [0.25, 0.75], pd.DataFrame({"image": ["1", "2"]}))
    with written_whole(tmp_path / "mean.npz") as file, ProbabilityWriter(file, {}) as writer:
        for member in found:
            writer.add_packed(*member)
    with Probabilities(tmp_path / "mean.npz") as mean:
        return {image: (mean[image][0], float(mean.presence[image][0])) for image in ("1", "2")}


def test_the_mean_is_weighted_and_pairs_images_by_name(tmp_path: Path) -> None:
    mean = mean_of(tmp_path, heads=True)
    assert mean["1"][0].tolist() == [[150, 62]]  # 62.5, to the even number
    assert mean["2"][0].tolist() == [[255, 2]]
    assert mean["1"][1] == pytest.approx(0.25 * 0.2 + 0.75 * 0.6)


def test_without_a_head_in_every_run_the_presence_is_that_of_the_largest_pixel(
    tmp_path: Path,
) -> None:
    assert mean_of(tmp_path, heads=False)["1"][1] == pytest.approx(150 / 255)


# Chains


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/ and runs/a, runs/b: of different seeds, predicted."""
    folder = tmp_path_factory.mktemp("trained")
    write_competition(folder / "data", frames=3)
    for name, more in (("a", ["seed=1"]), ("b", ["seed=2", "save_best_checkpoint=true"])):
        config = configured(settings_in(folder), f"experiment_name={name}", "epochs=1", *more)
        for number in (1, 2, 3):
            step(number).main(config)
    return folder


@pytest.fixture
def runs(trained: Path, tmp_path: Path) -> list[str]:
    """Settings of the ensemble of the two runs, whose files a test may change."""
    for name in ("data", "runs"):
        shutil.copytree(trained / name, tmp_path / name)
    members = ", ".join(str(tmp_path / "runs" / name) for name in "ab")
    return [*settings_in(tmp_path), "experiment_name=both", f"ensemble=[{members}]"]


def chain(config: Config) -> Path:
    for number in range(1, 5):
        step(number).main(config)
    return Run.of(config).folder


def set_member(config: Config, member: str, name: str, value: int) -> None:
    """Sets every probability in a file of a run."""
    path = Path(list(config.members)["ab".index(member)]) / name
    with Probabilities(path) as found:
        images = {image: np.full_like(found[image], value) for image in found.presence}
        presence, provenance = found.presence, found.provenance
    with written_whole(path, summed=True) as file, ProbabilityWriter(file, provenance) as writer:
        for image, array in images.items():
            writer.add(image, array, presence[image])


def provenance_of_file(folder: Path, name: str) -> dict:
    with Probabilities(folder / name) as probabilities:
        return probabilities.provenance


def test_an_ensemble_goes_through_all_steps_and_trains_nothing(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    config = configured(runs)
    folder = chain(config)
    out = capsys.readouterr().out
    assert out.count("an ensemble trains nothing") == 1
    assert f"{folder / 'test.npz'}: 3 images by {next(iter(config.members))} (0.5)," in out
    assert not (folder / "fold0").exists()
    files = [Path(run) / "test.npz" for run in config.members]
    with np.load(files[0]) as a, np.load(files[1]) as b, np.load(folder / "test.npz") as mean:
        for image in ("1", "2", "3"):
            expected = (a[image].astype(float) + b[image]) / 2
            assert np.abs(mean[image] - expected).max() <= 0.5
    caveats = provenance_of_file(folder, "oof_fold0.npz")["caveats"]
    assert marks(caveats) == ["EPOCH CHOSEN ON THESE IMAGES"]
    assert len(pd.read_csv(folder / "oof_iou.csv")) == 18
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("a/oof_fold0.npz", "b/oof_fold1.npz"))
    assert str(folder.parent) not in page
    before = {path: path.read_bytes() for path in folder.glob("*.npz")}
    chain(config)
    assert capsys.readouterr().out.count("is predicted already") == 3
    assert {path: path.read_bytes() for path in folder.glob("*.npz")} == before


def test_a_weight_counts_and_a_member_that_changed_is_told_and_averaged_again(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    config = configured([word.replace("both", "weighted") for word in runs])
    a, b = config.members
    weighted = configured([*runs, f"ensemble=['{a}:3', '{b}']"])
    folder = chain(weighted)
    weights = provenance_of_file(folder, "test.npz")["weights"]
    assert weights == {a: 0.75, b: 0.25}
    set_member(weighted, "a", "test.npz", 7)
    with pytest.raises(InputError, match="other probability files of the ensemble than"):
        step(4).main(weighted)
    capsys.readouterr()
    step(3).main(weighted)
    assert capsys.readouterr().out.count("is predicted already") == 2
    step(4).main(weighted)


def test_runs_of_other_folds_are_named_with_the_steps_to_run(
    runs: list[str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    table = pd.read_csv(data / "train_masks.csv").iloc[:-1]
    table.to_csv(data / "train_masks.csv", index=False)
    config = configured(runs)
    step(1).main(config)
    steps = "run 01_prepare_folds.py, 02_train.py and 03_infer.py of"
    with pytest.raises(InputError, match=rf"a/oof_fold0.npz was predicted with another.*{steps}"):
        step(3).main(config)


def test_runs_of_other_images_are_named(runs: list[str], tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "test/2.tif").write_bytes((data / "test/3.tif").read_bytes())
    config = configured(runs)
    step(1).main(config)
    with pytest.raises(InputError, match=r"a/test.npz is not of .* 1 differ, such as 2: run 03"):
        step(3).main(config)


def test_a_run_that_was_trained_again_or_is_not_predicted_is_named(
    runs: list[str], tmp_path: Path
) -> None:
    config = configured(runs)
    step(1).main(config)
    other = configured(settings_in(tmp_path), "experiment_name=b")
    with Run.of(other).model(0).open("ab") as file:
        file.write(b"of another training")
    with pytest.raises(InputError, match=r"b/oof_fold0.npz is older than .*fold0/model.pt: run 03"):
        step(3).main(config)
    Run.of(other).model(0).unlink()  # a run without its models will do
    Run.of(other).oof(1).unlink()
    with pytest.raises(InputError, match=r"b/oof_fold1.npz is missing: run 03_infer.py, with the"):
        step(3).main(config)
