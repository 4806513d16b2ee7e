"""What a DICOM file tells of a person, searched for in all that 01 leaves and prints."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image

from lib.data.pictures.arrays import UnusableImage, image_files, read_picture
from lib.data.pictures.dicom_notes import notes_on
from tests.conftest import configured, step, tiny_image
from tests.data.pictures.test_arrays import save_dicom

PLANTED = {
    "PatientName": "PLANTED^NAME",
    "PatientBirthDate": "19170701",
    "PatientAddress": "PLANTED STREET 7",
    "ReferringPhysicianName": "PLANTED^DOCTOR",
    "AccessionNumber": "PLANTED-ACC",
    "InstitutionName": "PLANTED HOSPITAL",
    "StudyDate": "19170702",
    "StudyDescription": "PLANTED STUDY",
    "StudyInstanceUID": "1.2.826.7777",
    "ImageComments": "PLANTED COMMENT",
}
SECRETS = ("PLANTED", "1917", "7777")


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


def test_nothing_that_a_header_tells_of_a_person_is_kept_or_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(8):
        pixels, mask = tiny_image(number, nerve=True)
        plant(tmp_path / "data" / "images" / f"{number}.dcm", pixels, number // 2)
        Image.fromarray(mask * 255).save(tmp_path / "data" / "masks" / f"{number}.png")
    config = configured(
        [f"data={tmp_path / 'data'}", f"runs_folder={tmp_path / 'runs'}"], "n_folds=2", "folds=[0]"
    )
    step(1).main(config)
    told = capfd.readouterr()
    run = tmp_path / "runs" / config.experiment_name
    assert "p1" in (run / "folds.csv").read_text()
    assert "8 DICOM files say that a name or a date is written in the picture" in told.out
    found = {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found["printed"] = (told.out + told.err).encode()
    assert [(n, s) for n, content in found.items() for s in SECRETS if s.encode() in content] == []


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
