"""Hashes of what small runs write: the proof that a change of the code changes no result.

    python -m tests.hashes FILE                    runs every case and writes the hashes
    python -m tests.hashes FILE --against OTHER    the same, and names what differs

Take the first file before a change and the second after it. Cases are every layout of data with two
seeds, and the settings that take other ways through the code. A model counts by its weights and its
log, a probability file by its arrays, a picture by its pixels: the versions of the code and the
hashes of other files that they hold change with any edit.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch

REPOSITORY = Path(__file__).parent.parent
STEPS = ("01_prepare_folds.py", "02_train.py", "03_infer.py", "04_make_submission.py")
FAST = (
    "quiet=true",
    "backbone=tu-test_efficientnet",
    "pretrained=false",
    "image_height=32",
    "image_width=64",
    "batch_size=4",
    "epochs=2",
    "number_of_workers=0",
    "n_folds=2",
    "folds=[0, 1]",
)
PHANTOM = ("--subjects=6", "--frames=8", "--test-subjects=2", "--test-frames=4")
OPTIONS = {
    "hard, views, average": (
        "augmentations_strategy=Hard",
        "test_time_augmentations=[Horizontal flip, Scale, Rotation]",
        "ema_decay=0.9",
        "calculate_train_metric=true",
        "data=kaggle",
    ),
    "presence head, Mixup, shares": (
        "presence_head=0.5",
        "mix_image=Mixup",
        "positive_share=[0.8, 0.4]",
        "label_policy=downweight",
        "test_positive_share=0.47",
        "data=kaggle",
    ),
    "one part, Lovasz, SGD": (
        "validation_strategy=automatic",
        "loss_function=Lovasz",
        "optimizer=SGD",
        "schedule=OneCycle",
        "tune_decision=false",
        "image_normalization=Image",
        "data=masks",
    ),
}
# What holds a time, a path, a version, or the memory and speed of a machine.
UNLIKE = {"speed.csv", "report.html", "checksums.json"}
OF_OTHERS = {"models", "folds_sha", "test_set"}  # keys of JSON files


def cases() -> Iterator[tuple[str, tuple[str, ...]]]:
    for layout in ("kaggle", "hydrogen_torch", "dicom", "coco", "masks"):
        for seed in (42, 43):
            yield f"{layout} {seed}", (f"data={layout}", f"seed={seed}")
    yield from OPTIONS.items()


def write_data(folder: Path) -> None:
    """Each layout that 01 knows, of the same phantom people."""
    phantom = "tools.phantom" if (REPOSITORY / "tools" / "phantom").is_dir() else "lib.phantom"
    for layout, more in (("kaggle", ()), ("hydrogen_torch", ("--vessel",)), ("dicom", ())):
        words = (str(folder / layout), f"--format={layout}", *PHANTOM, *more)
        subprocess.run([sys.executable, "-m", phantom, *words], cwd=REPOSITORY, check=True)
    (folder / "hydrogen_torch" / "phantom.zip").rename(folder / "hydrogen_torch.zip")
    shutil.rmtree(folder / "hydrogen_torch")
    write_masks_and_coco(folder)


def write_masks_and_coco(folder: Path) -> None:
    """The competition's files as images/ and masks/, and with polygons."""
    entries, annotations = [], []
    for layout in ("masks", "coco"):
        shutil.copytree(folder / "kaggle" / "test", folder / layout / "test")
        (folder / layout / "images").mkdir()
    (folder / "masks" / "masks").mkdir()
    for number, path in enumerate(sorted((folder / "kaggle" / "train").glob("*_mask.tif"))):
        image = path.with_name(path.name.replace("_mask", ""))
        for layout in ("masks", "coco"):
            shutil.copy(image, folder / layout / "images")
        mask = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        cv2.imwrite(str(folder / "masks" / "masks" / f"{image.stem}.png"), mask)
        size = {"height": mask.shape[0], "width": mask.shape[1]}
        person = image.stem.partition("_")[0]
        entries.append({"id": number, "file_name": image.name, "subject": person, **size})
        lines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        annotations += [
            {"image_id": number, "category_id": 1, "segmentation": [line.ravel().tolist()]}
            for line in lines
        ]
    content = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "nerve"}],
    }
    (folder / "coco" / "labels.json").write_text(json.dumps(content))


def run_case(name: str, settings: tuple[str, ...], data: Path, runs: Path) -> dict[str, str]:
    """The hashes of the files of one run, by `case/file`."""
    place = {path.stem: path for path in data.iterdir() if path.suffix in ("", ".zip")}
    said = [
        f"data={place[word.removeprefix('data=')]}" if word.startswith("data=") else word
        for word in settings
    ]
    experiment = name.replace(" ", "_").replace(",", "")
    words = [*FAST, *said, f"runs_folder={runs}", f"experiment_name={experiment}"]
    for step in STEPS:
        subprocess.run(
            [sys.executable, step, *words], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
        )
    files = sorted(path for path in (runs / experiment).rglob("*") if path.is_file())
    return {
        f"{name}/{path.relative_to(runs / experiment)}": hash_of(path)
        for path in files
        if path.name not in UNLIKE and "plots" not in path.parts
    }


def hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    if path.suffix == ".pt":
        content = torch.load(path, weights_only=True)
        weights = content.get("weights", content.get("model", {}))
        for name, tensor in weights.items():
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
        digest.update(repr(content.get("log", content.get("rows"))).encode())
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in sorted(set(arrays.files) - {"_provenance"}):
                digest.update(name.encode() + arrays[name].tobytes())
    elif path.suffix == ".png":
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert picture is not None
        digest.update(repr(picture.shape).encode() + picture.tobytes())
    elif path.suffix == ".json":
        content = json.loads(path.read_bytes())
        kept = {name: value for name, value in content.items() if name not in OF_OTHERS}
        digest.update(json.dumps(kept, sort_keys=True).encode())
    elif path.name == "config.yaml":
        lines = path.read_text().splitlines()
        # Where the data lay, which is another folder each time.
        kept_lines = [line for line in lines if tempfile.gettempdir() not in line]
        digest.update("\n".join(kept_lines).encode())
    else:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def different(before: dict[str, str], now: dict[str, str]) -> pd.DataFrame:
    rows = [
        (name, before.get(name, "-"), now.get(name, "-"))
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    return pd.DataFrame(rows, columns=["file", "before", "now"])


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.hashes", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("file", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as place:
        data, runs = Path(place) / "data", Path(place) / "runs"
        data.mkdir()
        write_data(data)
        for name, settings in cases():
            found |= run_case(name, settings, data, runs)
            print(f"{name}: {sum(key.startswith(f'{name}/') for key in found)} files", flush=True)
    given.file.write_text(json.dumps(found, indent=1) + "\n")
    if given.against:
        changed = different(json.loads(given.against.read_bytes()), found)
        same = len(found) - len(changed)
        print(changed.to_string(index=False) if len(changed) else "nothing differs")
        print(f"{same} of {len(found)} files are the same")
        sys.exit(len(changed) > 0)


if __name__ == "__main__":
    main()
