"""What a DICOM file tells of a person, searched for in all that the steps and tools leave."""

import io
import re
import subprocess
import sys
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from gzip import decompress
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from lib.data.pictures.arrays import UnusableImage, image_files, read_picture
from lib.data.pictures.dicom_notes import notes_on
from lib.runtime.errors import InputError
from tests.conftest import chain, configured, settings_in, step, tiny_image
from tests.data.pictures.test_arrays import save_dicom
from tools.compare.__main__ import main as compare

PLANTED = {
    "PatientName": "PLANTED^NAME",
    "PatientBirthDate": "19170701",
    "PatientAddress": "PLANTED STREET 7",
    "ReferringPhysicianName": "PLANTED^DOCTOR",
    "AccessionNumber": "PLANTED-ACC",
    "InstitutionName": "PLANTED HOSPITAL",
    "StudyDate": "19170701",
    "StudyDescription": "PLANTED STUDY",
    "StudyInstanceUID": "1.2.826.77778888",
    "ImageComments": "PLANTED COMMENT",
}
SECRETS = (b"planted", b"19170701", b"1917-07-01", b"77778888")  # too long to come by chance
PACKED = rb"H4sI[A-Za-z0-9+/=]+"  # base64 of gzip, as report.html holds it


def plant(path: Path, pixels: np.ndarray, number: int) -> None:
    """In standard and private tags, in a sequence and in an overlay."""
    item = pydicom.Dataset()
    item.PatientID, item.PatientName = "PLANTED-INNER", "PLANTED^INNER"
    tags: dict[str, Any] = {**PLANTED, "OtherPatientIDsSequence": [item]}
    save_dicom(path, pixels, f"PLANTED-{number}", **tags, BurnedInAnnotation="YES")
    data = pydicom.dcmread(path)
    data.private_block(0x0009, "PLANTED MAKER", create=True).add_new(1, "LO", "PLANTED PRIVATE")
    data.add_new(0x60000022, "LO", "PLANTED OVERLAY")
    data.save_as(path)


def planted_set(folder: Path) -> None:
    """Eight images of four people with masks, a test image and a test loop of two frames."""
    for part in ("images", "masks", "test"):
        (folder / "data" / part).mkdir(parents=True)
    for number in range(8):
        pixels, mask = tiny_image(number, nerve=True)
        plant(folder / "data" / "images" / f"{number}.dcm", pixels, number // 2)
        Image.fromarray(mask * 255).save(folder / "data" / "masks" / f"{number}.png")
    frames = np.stack([tiny_image(number, nerve=True)[0] for number in (8, 9)])
    plant(folder / "data" / "test" / "8.dcm", frames[0], 4)
    plant(folder / "data" / "test" / "loop.dcm", frames, 5)


def left_in(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """The content, and what is packed in it: zips (.npz, .pt), texts of PNG, gzip as base64."""
    yield name, content
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.namelist():
                yield from left_in(f"{name}/{member}", member.encode() + archive.read(member))
    elif content.startswith(b"\x89PNG"):
        yield f"{name}, its texts", str(Image.open(io.BytesIO(content)).info).encode()
    for text in re.findall(PACKED, content) if name.endswith(".html") else ():
        yield f"{name}, packed", decompress(b64decode(text))


def told_in(folder: Path, printed: str) -> list[tuple[str, bytes]]:
    """Where a secret stands: in a name, in a file below the folder, or in what was printed."""
    found = [("printed", printed.encode())]
    for path in folder.rglob("*"):
        found.append(("a name", path.name.encode()))
        if path.is_file():
            found += left_in(path.name, path.read_bytes())
    return [(name, word) for name, text in found for word in SECRETS if word in text.lower()]


def scored(pipeline: Path, *words: object) -> str:
    """What score.py prints."""
    command = [sys.executable, str(pipeline / "score.py"), *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout + ended.stderr


def test_nothing_that_a_header_tells_of_a_person_is_kept_or_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """By 01 to 04, a comparison of two runs, and the exported scorer."""
    planted_set(tmp_path)
    more = ["epochs=1", "learning_rate=0.01"]
    runs = [
        chain(configured(settings_in(tmp_path), *more, *one))
        for one in (
            ["experiment_name=a", "seed=0", "build_scoring_pipelines=true"],
            ["experiment_name=b", "seed=1"],
        )
    ]
    compare(list(map(str, runs)))
    out = tmp_path / "runs" / "scored"
    test = tmp_path / "data" / "test"
    words = ["--overlay", "--engine", "onnxruntime", "--csv", out / "all.csv"]
    told = scored(runs[0] / "scoring", test, "--out", out, *words)
    assert "masks of 3 images" in told
    printed = capfd.readouterr()
    assert "p1" in (runs[0] / "folds.csv").read_text()
    assert "loop_2" in (runs[0] / "submission.csv").read_text()
    assert "8 DICOM files say that a name or a date is written in the picture" in printed.out
    assert told_in(tmp_path / "runs", printed.out + printed.err + told) == []


def cut_off(path: Path) -> None:
    """The pixels end too early."""
    path.write_bytes(path.read_bytes()[:-2000])


def test_a_damaged_file_is_named_without_what_its_header_tells(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planted_set(tmp_path)
    config = configured([*settings_in(tmp_path), "build_scoring_pipelines=true", "epochs=1"])
    run = chain(config)
    (run / "test.npz").unlink()
    cut_off(tmp_path / "data" / "test" / "8.dcm")
    said = scored(run / "scoring", tmp_path / "data" / "test" / "8.dcm", "--out", tmp_path / "out")
    assert "CANNOT BE USED" in said and "8.dcm" in said
    said += refusal(lambda: step(3).main(config), "8")
    cut_off(tmp_path / "data" / "images" / "3.dcm")
    said += refusal(lambda: step(1).main(config), "3")
    printed = capfd.readouterr()
    assert told_in(tmp_path / "runs", printed.out + printed.err + said) == []


def refusal(work: Callable[[], None], name: str) -> str:
    with pytest.raises(InputError, match=name) as error:
        work()
    return str(error.value)


@pytest.mark.parametrize("tag", ["WindowCenter", "NumberOfFrames", "RescaleSlope"])
def test_an_error_or_a_warning_quotes_no_value(
    tmp_path: Path, tag: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save_dicom(tmp_path / "a.dcm", tiny_image(0, True)[0].astype(np.uint16), "x")
    data = pydicom.dcmread(path)
    data[tag] = pydicom.DataElement(tag, "LO", "PLANTED NAME")
    data.WindowWidth = "9"
    data.save_as(path)
    files = image_files(tmp_path)
    notes_on(files.values())
    try:
        read_picture(next(iter(files.values())))
    except UnusableImage as error:
        assert "PLANTED" not in str(error)
    told = capfd.readouterr()
    assert "PLANTED" not in told.out + told.err
