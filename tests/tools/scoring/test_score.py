"""score.py as a hospital runs it, a program of its own, and held to what lib makes of files."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from lib import rle
from lib.artifacts.folds import load_folds
from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.data.pictures.arrays import PICTURE_SUFFIXES, ImageFile, UnusableImage, read_image
from lib.data.pictures.clips import SUFFIXES
from lib.data.pictures.dicom_notes import screen_note
from lib.decision.rule import NEVER, Rule, against_gate, decide
from lib.inference.predict import predict, trained_network
from lib.runtime.device import device_of
from lib.unet import build_model
from tests.conftest import REPOSITORY, configured, settings_in, step, tiny_image, write_competition
from tests.data.pictures.test_arrays import PIXELS, UNUSABLE, rotated, save_dicom
from tests.data.pictures.test_clips import GREYS, save_clip
from tests.data.pictures.test_dicom import region
from tests.data.pictures.test_lying_headers import MEMORY, large_fractions
from tests.data.pictures.test_rasters import save_pages
from tools.scoring import __main__ as command
from tools.scoring.graph import Ensemble, write_graph
from tools.scoring.pipeline import reading, score, writing
from tools.scoring.pipeline.engines import onnxruntime, openvino

# Runs the program, and ends it at the first attempt to reach a network.
OFFLINE = """
import runpy, sys
def guard(event, values):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        raise SystemExit(f"it called out: {event} {values}")
sys.addaudithook(guard)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Of a finished run of two networks, with its scoring pipeline."""
    folder = tmp_path_factory.mktemp("scoring")
    write_competition(folder / "data", subjects=24)  # enough to tell how unlike an image is
    more = ["learning_rate=0.01", "presence_head=0.5", "build_scoring_pipelines=true"]
    made = configured(settings_in(folder), *more)
    for number in range(1, 5):
        step(number).main(made)
    return made


def test_a_run_is_exported_alike_by_04_and_by_hand_and_tells_nothing_of_people(
    config: Config, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Run.of(config).folder
    scoring = folder / "scoring"
    files = {path.relative_to(scoring).as_posix() for path in scoring.rglob("*") if path.is_file()}
    samples = {
        f"samples/{name}" for k in "123" for name in (f"{k}.png", f"{k}.npz", f"masks/{k}.png")
    }
    programs = {"score.py", "engines.py", "reading.py", "trust.py", "writing.py"}
    programs |= {"dicom.py", "tiff.py", "cores.py"}
    rest = {"README.md", "requirements.txt", "model.onnx", "decision.json"}
    assert files == {"SHA256SUMS", *programs, *rest, *samples}
    sums = (scoring / "SHA256SUMS").read_text()
    for name in files - {"SHA256SUMS"}:
        digest = hashlib.sha256((scoring / name).read_bytes()).hexdigest()
        assert f"{digest}  {name}\n" in sums
    decision = json.loads((scoring / "decision.json").read_text())
    assert "by_subject" not in decision
    assert decision["rules"] == json.loads((folder / "decision.json").read_text())["rules"]
    moved = shutil.copytree(folder, tmp_path / "moved", ignore=shutil.ignore_patterns("scoring"))
    command.main([str(moved)])
    assert f"the scoring pipeline: {moved / 'scoring'}" in capsys.readouterr().out
    assert (moved / "scoring" / "SHA256SUMS").read_text() == sums


def test_the_graph_gives_what_torch_gives_in_both_engines_and_names_no_file(
    tmp_path: Path,
) -> None:
    """Two classes and their presence, on images normalised by themselves."""
    config = Config(
        backbone="tu-test_efficientnet",
        image_height=32,
        image_width=64,
        image_normalization="Image",
    )
    grey = np.random.default_rng(0).integers(0, 256, (1, 1, 32, 64), dtype=np.uint8)
    torch.manual_seed(0)
    networks = [build_model(config, 2, presence_head=True).eval() for _ in range(2)]
    ensemble = Ensemble(networks, config).eval()
    path = tmp_path / "model.onnx"
    write_graph(path, ensemble, config)
    with torch.inference_mode():
        expected = ensemble(torch.from_numpy(grey))
    for engine in (openvino, onnxruntime):
        found = engine(path)(grey)
        assert [array.shape for array in found] == [(1, 2, 32, 64), (1, 2)]
        for array, tensor in zip(found, expected, strict=True):
            assert np.abs(array - tensor.numpy()).max() < 1e-5
    onnx.checker.check_model(path)
    content = path.read_bytes()
    assert not any(str(place).encode() in content for place in (REPOSITORY, sys.prefix))
    assert b"site-packages" not in content


@pytest.fixture
def pipeline(config: Config, tmp_path: Path) -> Path:
    """A copy of the folder, away from the repository."""
    return Path(shutil.copytree(Run.of(config).scoring, tmp_path / "pipeline"))


def run(pipeline: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", OFFLINE, str(pipeline / "score.py"), *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=pipeline.parent, timeout=120
    )


def with_rule(pipeline: Path, **changes: object) -> None:
    path = pipeline / "decision.json"
    about = json.loads(path.read_text())
    about["rules"]["nerve"] = asdict(Rule()) | changes
    path.write_text(json.dumps(about))


def read_mask(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_the_samples_have_the_masks_that_torch_made_and_nothing_calls_out(
    pipeline: Path, engine: str
) -> None:
    result = run(pipeline, "--self-test", "--engine", engine)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count("masks in 0 pixels") == 3
    assert f"passed, with {engine}" in result.stdout


def test_a_changed_file_fails_the_self_test_by_name(pipeline: Path) -> None:
    with_rule(pipeline, threshold=0.9)
    (pipeline / "samples" / "2.npz").unlink()
    result = run(pipeline, "--self-test")
    assert result.returncode == 1
    assert "FAILED" in result.stdout
    assert "decision.json, samples/2.npz" in result.stdout


def test_other_probabilities_fail_the_self_test(pipeline: Path) -> None:
    path = pipeline / "samples" / "1.npz"
    arrays = dict(np.load(path))
    np.savez(path, **arrays | {"probabilities": arrays["probabilities"] + 0.002})
    sums = pipeline / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("/1.npz")]
    sums.write_text("\n".join(kept) + "\n")
    result = run(pipeline, "--self-test")
    assert result.returncode == 1
    assert "1: probabilities differ by at most 2.0e-03" in result.stdout


def torch_masks(config: Config, files: dict[str, Path], rule: Rule) -> dict[str, np.ndarray]:
    """By 03 and 04: networks of all folds, their mean, the rule."""
    device, sha = device_of(config.gpus), load_folds(config).sha
    networks = [trained_network(config, k, sha, device).network for k in config.fold_numbers]
    rows = {"image": list(files), "file": [ImageFile(path) for path in files.values()]}
    table = pd.DataFrame(rows)
    return {
        table["image"][found.row]: decide(found.probability[0], found.presence[0], rule)
        for found in (answer.finished() for answer in predict(networks, table, config, device))
    }


def test_a_folder_of_odd_sizes_gets_the_masks_that_the_four_steps_give(
    config: Config, pipeline: Path, tmp_path: Path
) -> None:
    rule = Rule(head_weight=0.5, gate=0.3, threshold=0.4, components=1, fill_holes=True)
    with_rule(pipeline, **asdict(rule))
    files = {}
    for number, size in enumerate([(60, 80), (31, 200), (100, 33), (20, 20), (420, 580)]):
        files[f"image{number}"] = tmp_path / "images" / f"image{number}.png"
        files[f"image{number}"].parent.mkdir(exist_ok=True)
        grey = cv2.resize(tiny_image(number, nerve=True)[0], size[::-1])
        cv2.imwrite(str(files[f"image{number}"]), grey)
    result = run(pipeline, tmp_path / "images", "--csv", tmp_path / "masks.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    table = pd.read_csv(tmp_path / "masks.csv", dtype=str, keep_default_na=False)
    assert table.columns.tolist() == ["img", "pixels"]
    runs = dict(zip(table["img"], table["pixels"], strict=True))
    assert list(runs) == list(files)
    for name, expected in torch_masks(config, files, rule).items():
        mask = read_mask(tmp_path / "masks" / f"{name}.png")
        assert set(np.unique(mask)) <= {0, 255}
        assert ((mask > 0) == expected).mean() >= 0.9999
        assert (mask > 0).any() == expected.any()
        assert np.array_equal(rle.decode(runs[name], mask.shape), mask > 0)


def test_the_quality_of_a_mask_is_that_of_the_four_steps(
    config: Config, pipeline: Path, tmp_path: Path
) -> None:
    """Also where it is read from masks that were there before; strange images are told as such."""
    test = Path(config.data_folder).parent / "test"
    words = [test, "--quality", tmp_path / "quality.csv", "--engine", "onnxruntime"]
    expected = pd.read_csv(Run.of(config).test_quality, dtype={"image": str})
    assert expected["expected_iou"].notna().all() and expected["unlike"].notna().all()
    for _ in range(2):
        assert run(pipeline, *words).returncode == 0
        found = pd.read_csv(tmp_path / "quality.csv", dtype={"img": str})
        both = expected.merge(found, left_on="image", right_on="img", suffixes=("", "_scorer"))
        assert len(both) == len(expected) == 3
        assert np.allclose(both["expected_iou"], both["expected_iou_scorer"], atol=0.01)
        assert np.allclose(both["unlike"], both["unlike_scorer"], atol=0.02)
    cv2.imwrite(str(tmp_path / "white.png"), np.full((60, 80), 255, np.uint8))
    run(pipeline, tmp_path / "white.png", "--quality", tmp_path / "white.csv")
    assert pd.read_csv(tmp_path / "white.csv")["unlike"].tolist() == [1]


def test_a_changed_distance_fails_the_self_test(pipeline: Path) -> None:
    path = pipeline / "samples" / "1.npz"
    arrays = dict(np.load(path))
    assert arrays["unlike"].shape == (1,)
    np.savez(path, **arrays | {"unlike": arrays["unlike"] * 1.1})
    sums = pipeline / "SHA256SUMS"
    kept = [line for line in sums.read_text().splitlines() if not line.endswith("/1.npz")]
    sums.write_text("\n".join(kept) + "\n")
    assert run(pipeline, "--self-test").returncode == 1


def test_it_goes_on_and_makes_anew_what_another_image_or_model_made(
    pipeline: Path, tmp_path: Path
) -> None:
    with_rule(pipeline, threshold=0.0)
    images = tmp_path / "images"
    images.mkdir()
    for name in "abc":
        cv2.imwrite(str(images / f"{name}.png"), tiny_image(ord(name), nerve=True)[0])
    words = [images, "--overlay", "--csv", tmp_path / "masks.csv"]
    assert "masks of 3 images, and 0 that were there" in run(pipeline, *words).stdout
    before = {path: path.read_bytes() for path in (tmp_path / "masks").rglob("*.png")}
    assert len(before) == 6
    table = (tmp_path / "masks.csv").read_bytes()
    (tmp_path / "masks" / "b.png").write_bytes(b"cut off")
    assert "masks of 1 images, and 2 that were there" in run(pipeline, *words).stdout
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "masks.csv").read_bytes() == table
    cv2.imwrite(str(images / "c.png"), tiny_image(7, nerve=True)[0])
    assert "masks of 1 images, and 2 that were there" in run(pipeline, *words).stdout
    twice = [images / "a.png", *words]
    assert "masks of 0 images, and 3 that were there" in run(pipeline, *twice).stdout
    assert pd.read_csv(tmp_path / "masks.csv", dtype=str)["img"].tolist() == list("abc")
    with_rule(pipeline, gate=NEVER)
    assert "masks of 3 images, and 0 that were there" in run(pipeline, *words).stdout
    assert not any(read_mask(tmp_path / "masks" / f"{name}.png").any() for name in "abc")
    assert not list((tmp_path / "masks").rglob("*.part"))


def test_a_clip_and_a_cine_loop_are_scored_by_frame_and_nobody_is_named(
    pipeline: Path, tmp_path: Path
) -> None:
    with_rule(pipeline, threshold=0.0)
    frames = np.stack([tiny_image(k, nerve=True)[0] for k in range(3)])
    save_dicom(tmp_path / "1.2.840.7", frames, "Geheim^Name")
    save_dicom(tmp_path / "1.2.840.8", frames[0], "Geheim^Name")
    clip = cv2.VideoWriter(
        str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (80, 60)
    )
    for frame in frames:
        clip.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    clip.release()
    paths = [tmp_path / name for name in ("1.2.840.7", "1.2.840.8", "clip.avi")]
    result = run(pipeline, *paths, "--overlay", "--csv", tmp_path / "masks" / "all.csv")
    assert result.returncode == 0, result.stdout + result.stderr
    names = [*(f"1.2.840.7_{k}" for k in (1, 2, 3)), "1.2.840.8", *(f"clip_{k}" for k in (1, 2, 3))]
    assert sorted(path.stem for path in (tmp_path / "masks").glob("*.png")) == names
    assert "Geheim" not in result.stdout + result.stderr
    written = [path.read_bytes() for path in (tmp_path / "masks").rglob("*") if path.is_file()]
    assert len(written) == 15
    assert not any(b"Geheim" in content for content in written)


def moving_frames(count: int) -> np.ndarray:
    return np.stack([tiny_image(k, nerve=k % 2 == 0)[0] for k in range(count)])


def test_a_clip_is_averaged_over_its_own_frames_only(
    config: Config, pipeline: Path, tmp_path: Path
) -> None:
    rule = Rule(head_weight=0.5, threshold=0.4)
    with_rule(pipeline, **asdict(rule))
    loops = {"a": moving_frames(4), "b": moving_frames(5)[1:]}
    for name, frames in loops.items():
        save_dicom(tmp_path / f"{name}.dcm", frames)
    paths = [tmp_path / f"{name}.dcm" for name in loops]
    result = run(pipeline, *paths, "--average", "0.6")
    assert result.returncode == 0, result.stdout + result.stderr
    scorer, moved = score.Scorer(pipeline, "openvino"), 0
    for name, frames in loops.items():
        mean = scorer.probabilities(frames[0])
        for k, frame in enumerate(frames):
            found = scorer.probabilities(frame)
            if k:
                mean = [0.6 * a + 0.4 * b for a, b in zip(mean, found, strict=True)]
            expected, plain = (
                decide(to_levels(planes[0], frame.shape), float(presence[0]), rule)
                for planes, presence, *_ in (mean, found)
            )
            mask = read_mask(tmp_path / "masks" / f"{name}_{k + 1}.png")
            assert np.array_equal(mask > 0, expected > 0)
            moved += not np.array_equal(expected, plain)
    assert moved > 3


def to_levels(plane: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    large = cv2.resize(plane, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.rint(large * 255).astype(np.uint8)


def test_an_averaged_clip_is_made_whole_or_kept_whole(pipeline: Path, tmp_path: Path) -> None:
    with_rule(pipeline, threshold=0.4)
    save_dicom(tmp_path / "loop.dcm", moving_frames(3))
    words = [tmp_path / "loop.dcm", "--average", "0.5"]

    def masks() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "masks").glob("*.png")}

    assert "masks of 3 images, and 0 that were there" in run(pipeline, *words).stdout
    before = masks()
    assert "masks of 0 images, and 3 that were there" in run(pipeline, *words).stdout
    (tmp_path / "masks" / "loop_3.png").unlink()
    assert "masks of 3 images, and 0 that were there" in run(pipeline, *words).stdout
    assert masks() == before
    assert "masks of 3 images, and 0" in run(pipeline, words[0], "--average", "0.3").stdout
    assert masks() != before
    assert "masks of 3 images, and 0" in run(pipeline, words[0]).stdout
    (tmp_path / "masks" / "loop_3.png").unlink()
    assert "masks of 1 images, and 2" in run(pipeline, words[0]).stdout


def test_an_averaged_clip_without_its_end_has_the_masks_and_rows_of_its_frames_each_time(
    pipeline: Path, tmp_path: Path
) -> None:
    cut_clip(tmp_path / "cut.avi")
    words = [tmp_path / "cut.avi", "--average", "0.5", "--csv", tmp_path / "masks.csv"]
    first = run(pipeline, *words)
    table = (tmp_path / "masks.csv").read_bytes()
    assert table.count(b"cut_") > 10
    second = run(pipeline, *words)
    assert first.returncode == second.returncode == 1
    assert "of its 20 frames can be read" in second.stderr
    assert second.stdout == first.stdout
    assert (tmp_path / "masks.csv").read_bytes() == table


def test_an_average_is_refused_for_a_single_image_and_outside_of_its_range(
    pipeline: Path, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "single.png"), PIXELS)
    save_dicom(images / "one.dcm", PIXELS)
    save_dicom(images / "two.dcm", np.stack([PIXELS, 255 - PIXELS]))
    result = run(pipeline, images, "--average", "0.5")
    assert result.returncode == 1
    assert "masks of 2 images" in result.stdout
    faults = [line for line in result.stderr.splitlines() if "CANNOT BE USED" in line]
    assert [line.rpartition("/")[2] for line in faults] == [
        f"{name}: is a single image, and --average is for clips: leave it out"
        for name in ("one.dcm", "single.png")
    ]
    for wrong in ("1", "-0.1", "nan"):
        refused = run(pipeline, images, f"--average={wrong}")
        assert refused.returncode == 2
        assert "from 0 to below 1 was expected" in refused.stderr


def cut_clip(path: Path) -> None:
    clip = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (80, 60))
    for k in range(20):
        clip.write(np.full((60, 80, 3), 10 * k, np.uint8))
    clip.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 5])


def test_what_cannot_be_used_is_named_and_the_rest_is_done(pipeline: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    cv2.imwrite(str(images / "good.png"), PIXELS)
    cv2.imwrite(str(images / "good.tif"), 255 - PIXELS)
    (images / "empty.png").write_bytes(b"")
    (images / "scan.dcm").write_bytes(b"DICM")
    (images / "notes.txt").write_text("not an image")
    cut_clip(images / "cut.avi")
    (images / "none.mp4").write_bytes(b"no video")
    result = run(pipeline, images, tmp_path / "missing.png")
    assert result.returncode == 1
    faults = [line for line in result.stderr.splitlines() if line.startswith("CANNOT BE USED")]
    for words in (
        "good.tif: another image is called good too: rename one",
        "empty.png: not an image of a known format",
        "scan.dcm: not a DICOM image that can be read",
        "of its 20 frames can be read: convert it again",
        "none.mp4: not a video that can be read",
        "missing.png: there is no such file or folder",
    ):
        assert sum(words in line for line in faults) == 1, (words, result.stderr)
    assert len(faults) == 6
    assert "1 other files, no images by their names, are left out" in result.stdout
    assert (tmp_path / "masks" / "good.png").is_file()
    assert "Traceback" not in result.stderr


def test_bfloat16_is_asked_for_by_name_and_never_keeps_masks_of_float32(
    pipeline: Path, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), PIXELS)
    image = tmp_path / "a.png"
    assert "masks of 1 images, and 0" in run(pipeline, image).stdout
    assert "masks of 1 images, and 0" in run(pipeline, image, "--engine", "openvino-bf16").stdout
    refused = run(pipeline, "--self-test", "--engine", "openvino-bf16")
    assert "bfloat16 is not for it" in refused.stderr


def test_a_command_without_images_or_with_nothing_in_its_folder_says_so(
    pipeline: Path, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    assert "name an image, a video, a DICOM file or a folder" in run(pipeline).stderr
    result = run(pipeline, tmp_path / "images")
    assert result.returncode == 1
    assert "images: a folder without images" in result.stderr


# What it reads, held to lib/data/pictures/arrays.py.


def stored(mode: str, suffix: str, **how: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        colours = cv2.applyColorMap(PIXELS, cv2.COLORMAP_JET)
        path = folder / f"image.{suffix}"
        Image.fromarray(colours).convert(mode).save(path, **how)
        return path

    return save


def sixteen(suffix: str, **how: Any) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        path = folder / f"image.{suffix}"
        Image.fromarray(PIXELS.astype(np.uint16) * 200).save(path, **how)
        return path

    return save


def turned(suffix: str, orientation: int) -> Callable[[Path], Path]:
    def save(folder: Path) -> Path:
        rotated(PIXELS, orientation)(folder / f"image.{suffix}")
        return folder / f"image.{suffix}"

    return save


def numbers(suffix: str, top: int) -> Callable[[Path], Path]:
    """Fractions of 0 to `top`; integers of 16 bits where it is 0."""

    def save(folder: Path) -> Path:
        path = folder / f"image.{suffix}"
        pixels = PIXELS / PIXELS.max() * top if top else PIXELS.astype(np.uint16) * 200
        if suffix == "npy":
            np.save(path, pixels)
        elif suffix == "tif":
            Image.fromarray(pixels.astype(np.float32)).save(path)
        else:
            cv2.imwrite(str(path), pixels)
        return path

    return save


READ = [
    *(stored(mode, suffix) for mode in ("1", "L", "P", "LA", "RGB") for suffix in ("png", "tif")),
    *(stored("RGB", "jpg", quality=60, subsampling=k) for k in (0, 1, 2)),
    stored("RGB", "jpg", progressive=True),
    stored("RGB", "bmp"),
    stored("RGB", "webp", lossless=True),
    stored("L", "pgm"),
    *(stored("RGB", "tif", compression=kind) for kind in ("tiff_lzw", "jpeg", "packbits")),
    sixteen("png"),
    sixteen("tif", compression="tiff_lzw"),
    sixteen("tif", tiffinfo={262: 0}),
    stored("L", "tif", tiffinfo={262: 0}),
    stored("RGB", "gif"),
    *(turned(suffix, how) for suffix in ("jpg", "png", "webp", "tif") for how in (5, 6, 7, 8)),
    *(numbers(suffix, top) for suffix in ("tif", "npy") for top in (1, 255)),
    numbers("64.tif", 1),
    numbers("npy", 0),
]


@pytest.mark.parametrize("save", READ)
def test_an_image_is_read_to_the_bit_as_the_pipeline_reads_it(
    tmp_path: Path, save: Callable[[Path], Path]
) -> None:
    path = save(tmp_path)
    expected = read_image(ImageFile(path))
    assert np.array_equal(reading.read_picture(path, 16), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(("name", "make", "complaint"), UNUSABLE)
def test_what_the_pipeline_refuses_is_refused(
    tmp_path: Path, name: str, make: Callable[[Path], object], complaint: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(reading.Unusable):
        for image in reading.images_in(tmp_path / name, 16):
            image.grey()


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp", "pgm"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.98])
def test_a_truncated_image_is_refused_not_filled_up(
    tmp_path: Path, suffix: str, share: float
) -> None:
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(PIXELS).save(path, **({"compression": "tiff_lzw"} if suffix == "tif" else {}))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnusableImage):
        read_image(ImageFile(path))
    with pytest.raises(reading.Unusable):
        reading.read_picture(path, 16)


@pytest.mark.parametrize("place", [-40, -20, -6])
def test_a_png_with_one_changed_byte_is_refused(tmp_path: Path, place: int) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(PIXELS).save(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(reading.Unusable, match="damaged, or its end is missing"):
        reading.read_picture(path, 16)


def test_a_colour_picture_of_16_bits_is_refused(tmp_path: Path) -> None:
    for suffix in ("png", "tif"):
        path = tmp_path / f"image.{suffix}"
        cv2.imwrite(str(path), np.dstack([PIXELS] * 3).astype(np.uint16) * 200)
        with pytest.raises(reading.Unusable, match="has 16 bits a colour"):
            reading.read_picture(path, 16)


WINDOW = {"WindowCenter": "2000", "WindowWidth": "3000"}


@pytest.mark.parametrize(
    ("pixels", "photometric", "stored", "bits", "tags"),
    [
        (PIXELS, "MONOCHROME2", 8, 16, {}),
        (255 - PIXELS, "MONOCHROME1", 8, 16, {}),
        (PIXELS.astype(np.uint16) * 16, "MONOCHROME2", 12, 16, {}),
        (PIXELS.astype(np.uint16) * 16, "MONOCHROME1", 12, 16, WINDOW),
        (PIXELS.astype(np.uint16) * 4, "MONOCHROME1", 16, 10, {}),
        (PIXELS.astype(np.int16) - 128, "MONOCHROME2", 8, 16, {}),
        (cv2.applyColorMap(PIXELS, cv2.COLORMAP_JET), "RGB", 8, 16, {}),
        (np.stack([PIXELS, 255 - PIXELS]), "MONOCHROME2", 8, 16, {}),
    ],
)
def test_dicom_is_read_to_the_bit_as_the_pipeline_reads_it(
    tmp_path: Path,
    pixels: np.ndarray,
    photometric: str,
    stored: int,
    bits: int,
    tags: dict[str, str],
) -> None:
    path = tmp_path / "scan.dcm"
    save_dicom(path, pixels, photometric=photometric, stored=stored, **tags)
    several = pixels.shape == (2, *PIXELS.shape)
    images = list(reading.images_in(path, bits))
    assert [image.name for image in images] == (["scan_1", "scan_2"] if several else ["scan"])
    for number, image in enumerate(images):
        expected = read_image(ImageFile(path, number if several else None, bits=bits))
        assert np.array_equal(image.grey(), expected)


def test_fractions_that_would_fill_the_memory_are_refused_before(tmp_path: Path) -> None:
    large_fractions(tmp_path / "a.tif")
    (image,) = reading.images_in(tmp_path / "a.tif", 16)
    tracemalloc.start()
    with pytest.raises(reading.Unusable, match="is 9000 x 9000, more than 67,108,864"):
        image.grey()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


def test_values_above_the_bits_that_are_told_are_refused_in_dicom_too(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "scan.dcm", PIXELS.astype(np.uint16) * 16)
    (image,) = reading.images_in(path, 11)
    with pytest.raises(reading.Unusable, match="--bits 11 is too few"):
        image.grey()


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_pages_are_read_to_the_bit_as_the_pipeline_reads_them(
    tmp_path: Path, suffix: str, kind: type
) -> None:
    scale = 1 if suffix == "gif" or kind == np.uint8 else 255
    stored = np.uint8 if suffix == "gif" else kind
    pages: list[np.ndarray] = [
        (page / scale).astype(stored) for page in (PIXELS, 255 - PIXELS, PIXELS // 3)
    ]
    path = save_pages(tmp_path / f"loop.{suffix}", pages)
    images = list(reading.images_in(path, 16))
    assert [image.name for image in images] == ["loop_1", "loop_2", "loop_3"]
    assert all(image.clip for image in images)
    for number, image in enumerate(images):
        assert np.array_equal(image.grey(), read_image(ImageFile(path, number)))


def test_a_volume_in_a_folder_is_refused_with_the_way_on(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"")
    (path,) = reading.files_of(tmp_path)
    with pytest.raises(reading.Unusable, match=r"a volume, .* save its slices"):
        list(reading.images_in(path, 16))


@pytest.mark.parametrize("suffix", sorted(reading.VIDEOS))
def test_the_suffixes_of_clips_are_those_of_the_pipeline(tmp_path: Path, suffix: str) -> None:
    assert reading.VIDEOS == SUFFIXES
    clip = save_clip(tmp_path / f"clip{suffix}")
    means = [image.grey().mean() for image in reading.images_in(clip, 16)]
    assert means == pytest.approx(GREYS, abs=4)


def test_a_screen_is_told_with_the_words_of_the_pipeline(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", PIXELS, SequenceOfUltrasoundRegions=[region()])
    other = save_dicom(tmp_path / "b.dcm", PIXELS)
    note = reading.screen_note([path, other, tmp_path / "missing", tmp_path])
    assert note.split(";")[0] == screen_note([ImageFile(path), ImageFile(other)]).split(";")[0]
    assert reading.screen_note([other]) == ""


def test_the_suffixes_of_pictures_are_those_of_the_pipeline() -> None:
    assert reading.PICTURES | reading.VOLUMES == PICTURE_SUFFIXES


# What it decides, held to lib/decision/rule.py.

RULES = st.builds(
    Rule,
    head_weight=st.sampled_from([0.0, 0.25, 1.0]),
    top_share=st.sampled_from([0.001, 1 / 128, 0.3]),
    gate=st.sampled_from([0.0, 0.3, 0.5, 0.8, NEVER]),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.9, 1.0]),
    never_empty=st.booleans(),
    least_area=st.sampled_from([0.0, 0.1, 0.4]),
    components=st.integers(0, 2),
    fill_holes=st.booleans(),
)


@given(
    arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12)),
    st.floats(0, 1),
    RULES,
)
def test_a_map_becomes_the_mask_that_the_pipeline_makes_of_it(
    levels: np.ndarray, presence: float, rule: Rule
) -> None:
    expected = decide(levels, presence, rule)
    held = score.against_gate(levels, presence, asdict(rule))
    assert held == against_gate(levels, presence, rule)
    assert np.array_equal(score.decide(levels, held, asdict(rule)), expected)
    assert writing.run_lengths(expected) == rle.encode(expected)


def test_masks_of_a_class_of_any_name_lie_below_the_folder_each_in_its_own(tmp_path: Path) -> None:
    classes = ["../up", "/etc", "..", "Nerve", "nerve", "overlays", "</script>", "a:b", "a:b_11"]
    classes += ["\N{EXTRATERRESTRIAL ALIEN}" * 300, "A:B"]
    output, mask = writing.Output(tmp_path / "out", classes, True), PIXELS > 150
    masks = [mask.astype(np.uint8)] * len(classes)
    output.write("1", "sha", PIXELS, masks, ["0.5000 -"] * len(classes))
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(made) == len(classes) + 1
    assert all(path.parent.parent == tmp_path / "out" for path in made)
    rows = pd.read_csv(io.BytesIO(output.table(["1"])), dtype=str)
    assert rows["class_id"].tolist() == classes
