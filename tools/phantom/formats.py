"""The layouts a phantom can be written in: scans and labels -> files, as (path, bytes).

kaggle, the competition's own layout:
FOLDER/train/{subject}_{n}.tif      8-bit grey LZW TIFF, 420 x 580; beside it {subject}_{n}_mask.tif
FOLDER/train_masks.csv              subject,img,pixels: run lengths, "" where there is no nerve
FOLDER/test/{n}.tif                 other subjects, shuffled, numbered from 1
FOLDER/sample_submission.csv        img,pixels: all `1 1`

hydrogen_torch:
FOLDER/phantom.zip                  train.pq (image,class_id,rle_mask,subject), test.csv (image) and
                                    images/*.png; with a vessel class_id and rle_mask are lists

dicom:
FOLDER/images/{subject}.dcm         one cine loop, of train and of test subjects alike
FOLDER/train.csv                    image,class_id,rle_mask: a row an image and class, and one of an
                                    empty image; an image is {subject}_{frame, from 1}
FOLDER/test.csv                     image

each:
FOLDER/truth/                       test_masks.csv (img,subject,pixels; with a vessel a row an image
                                    and class, img,subject,class_id,pixels), twins.csv (image,twin)
                                    and settings.json, written last
FOLDER/second_reader.csv            image,class_id,rle_mask of another person, where it is asked for
FOLDER/PHANTOM.md                   says that the images are drawn; in the zip too

Every file is made in memory, one subject at a time, and is the same bytes each time: no dates, no
random names.
"""

import csv
import io
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Picture = npt.NDArray[np.uint8]
File = tuple[str, bytes]

CLASSES = ("nerve", "vessel")
FRAME_TIME = "40"  # ms


@dataclass(frozen=True)
class Scan:
    """A subject's pictures in video order, by image name without suffix.

    `masks` holds, by the same names, a mask 0/255 of each class that is there.
    """

    subject: int
    test: bool
    seed: int
    pictures: dict[str, Picture]
    masks: dict[str, dict[str, Picture]]


@dataclass(frozen=True)
class Labels:
    """What remains of a scan for the tables: run lengths by image and class."""

    subject: int
    test: bool
    runs: dict[str, dict[str, str]]
    twins: tuple[tuple[str, str], ...]
    second: dict[str, dict[str, str]]  # as `runs`, of another person; none unless asked for


@dataclass(frozen=True)
class Format:
    """`suffix` of an image's file, `listed` what of it the tables of the test images repeat.

    `video` numbers the images in video order; `pack` is the zip that holds all but the truth.
    """

    suffix: str
    listed: str
    pictures: Callable[[Scan], Iterator[File]]
    tables: Callable[[list[Labels], tuple[str, ...]], Iterator[File]]
    classes: tuple[str, ...] = CLASSES
    video: bool = False
    pack: str = ""


def truth(labels: list[Labels], kind: Format, classes: tuple[str, ...]) -> Iterator[File]:
    """What the test images and the twins really are; with two classes, a row an image and class."""
    rows = []
    for subject, image, runs in _images(labels, test=True):
        for name in classes:
            column = (name,) if len(classes) > 1 else ()
            rows.append((image + kind.listed, subject, *column, runs.get(name, "")))
    column = ("class_id",) if len(classes) > 1 else ()
    yield "truth/test_masks.csv", _csv(("img", "subject", *column, "pixels"), rows)
    pairs = [(a + kind.suffix, b + kind.suffix) for person in labels for a, b in person.twins]
    yield "truth/twins.csv", _csv(("image", "twin"), pairs)


def _images(labels: list[Labels], test: bool) -> list[tuple[int, str, dict[str, str]]]:
    """Subject, image and runs by class, in the order of the numbers in the names."""
    rows = [
        (person.subject, image, runs)
        for person in labels
        if person.test == test
        for image, runs in person.runs.items()
    ]
    return sorted(rows, key=lambda row: _numbers(row[1]))


def _numbers(image: str) -> list[int]:
    return [int(number) for number in image.split("_")]


def _csv(header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


def _kaggle_pictures(scan: Scan) -> Iterator[File]:
    for image, picture in scan.pictures.items():
        yield f"{'test' if scan.test else 'train'}/{image}.tif", _tif(picture)
        if not scan.test:
            mask = scan.masks[image].get("nerve", np.zeros_like(picture))
            yield f"train/{image}_mask.tif", _tif(mask)


def _tif(picture: Picture) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "tiff", compression="tiff_lzw")
    return file.getvalue()


def _kaggle_tables(labels: list[Labels], classes: tuple[str, ...]) -> Iterator[File]:
    rows = [
        (subject, image.split("_")[1], runs.get("nerve", ""))
        for subject, image, runs in _images(labels, test=False)
    ]
    yield "train_masks.csv", _csv(("subject", "img", "pixels"), rows)
    blank = [(image, "1 1") for _, image, _ in _images(labels, test=True)]
    yield "sample_submission.csv", _csv(("img", "pixels"), blank)


def _hydrogen_torch_pictures(scan: Scan) -> Iterator[File]:
    for image in sorted(scan.pictures, key=_numbers):
        # Not Pillow, whose zlib may pack one picture differently on different processors.
        yield f"images/{image}.png", cv2.imencode(".png", scan.pictures[image])[1].tobytes()


def _hydrogen_torch_tables(labels: list[Labels], classes: tuple[str, ...]) -> Iterator[File]:
    import pandas as pd

    rows: list[tuple[str, Any, Any, int]] = []
    for subject, image, runs in _images(labels, test=False):
        if len(classes) == 1:
            rows.append((f"{image}.png", "nerve", runs.get("nerve", ""), subject))
        else:
            rows.append((f"{image}.png", list(runs), list(runs.values()), subject))
    table = pd.DataFrame(rows, columns=["image", "class_id", "rle_mask", "subject"])
    yield "train.pq", table.to_parquet(None, index=False)
    images = [(f"{image}.png",) for _, image, _ in _images(labels, test=True)]
    yield "test.csv", _csv(("image",), images)


def _dicom_pictures(scan: Scan) -> Iterator[File]:
    """One cine loop. Not run-length coded: speckle would keep 97 % of its size."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage

    loop = Dataset()
    _identify(loop, scan)
    loop.SOPClassUID = UltrasoundMultiFrameImageStorage
    _describe_pixels(loop, list(scan.pictures.values()))
    loop.file_meta = FileMetaDataset()
    loop.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    loop.file_meta.ImplementationClassUID = UID(_uid("implementation"))
    loop.file_meta.ImplementationVersionName = "PHANTOM"
    file = io.BytesIO()
    loop.save_as(file, enforce_file_format=True)
    yield f"images/{scan.subject}.dcm", file.getvalue()


def _identify(loop: Any, scan: Scan) -> None:
    """An invented patient; what the standard wants but nobody knows stays empty."""
    loop.PatientName, loop.PatientID = f"PHANTOM^{scan.subject}", f"PHANTOM-{scan.subject}"
    loop.PatientBirthDate = loop.PatientSex = ""
    loop.StudyDate = loop.StudyTime = loop.StudyID = ""
    loop.ReferringPhysicianName = loop.AccessionNumber = loop.Manufacturer = ""
    loop.StudyInstanceUID = _uid("study", scan.seed, scan.subject)
    loop.SeriesInstanceUID = _uid("series", scan.seed, scan.subject)
    loop.SOPInstanceUID = _uid("loop", scan.seed, scan.subject)
    loop.Modality, loop.ImageType = "US", ["ORIGINAL", "PRIMARY"]
    loop.SeriesNumber = loop.InstanceNumber = 1


def _uid(*words: object) -> str:
    """A UID from a name-based UUID, as in DICOM PS3.5 B.2."""
    name = " ".join(map(str, ("nerve phantom", *words)))
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def _describe_pixels(loop: Any, pictures: list[Picture]) -> None:
    loop.SamplesPerPixel, loop.PhotometricInterpretation = 1, "MONOCHROME2"
    loop.Rows, loop.Columns = pictures[0].shape
    loop.NumberOfFrames, loop.FrameTime = len(pictures), FRAME_TIME
    loop.FrameIncrementPointer = 0x00181063  # FrameTime
    loop.BitsAllocated = loop.BitsStored = 8
    loop.HighBit, loop.PixelRepresentation = 7, 0
    loop.LossyImageCompression, loop.BurnedInAnnotation = "00", "NO"
    pixels = b"".join(picture.tobytes() for picture in pictures)
    loop.PixelData = pixels + b"\0" * (len(pixels) % 2)
    loop["PixelData"].VR = "OB"


def _dicom_tables(labels: list[Labels], classes: tuple[str, ...]) -> Iterator[File]:
    yield "train.csv", _row_a_class((image, runs) for _, image, runs in _images(labels, False))
    yield "test.csv", _csv(("image",), [(image,) for _, image, _ in _images(labels, test=True)])


def _row_a_class(images: Iterable[tuple[str, dict[str, str]]]) -> bytes:
    """A table of run lengths: a row an image and class, and one of an empty image."""
    rows: list[tuple[str, str, str]] = []
    for image, runs in images:
        rows.extend((image, name, text) for name, text in runs.items())
        if not runs:
            rows.append((image, "", ""))
    return _csv(("image", "class_id", "rle_mask"), rows)


def second_reader(labels: list[Labels], kind: Format) -> Iterator[File]:
    """The labels of another person, where there are any."""
    images = [pair for person in labels for pair in person.second.items()]
    if images:
        named = sorted(images, key=lambda pair: _numbers(pair[0]))
        table = _row_a_class((image + kind.suffix, runs) for image, runs in named)
        yield "second_reader.csv", table


FORMATS = {
    "kaggle": Format(".tif", "", _kaggle_pictures, _kaggle_tables, classes=("nerve",)),
    "hydrogen_torch": Format(
        ".png", ".png", _hydrogen_torch_pictures, _hydrogen_torch_tables, pack="phantom.zip"
    ),
    "dicom": Format("", "", _dicom_pictures, _dicom_tables, video=True),
}
