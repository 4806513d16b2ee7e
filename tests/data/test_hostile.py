"""Files that would run code, read other files, or fill memory: refused, or shown as text."""

import os
import pickle
import stat
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from lib.config.read import load_config
from lib.data import archives
from lib.data.archives import LIMIT, MOST_FILES, MOST_PACKED, RATIO, ArchiveError, unpacked
from lib.data.formats import cvat, ddti
from lib.data.label import require_size
from lib.data.pictures.arrays import ImageFile, UnusableImage, read_picture
from lib.data.pictures.dicom import MOST_PIXELS
from lib.data.pictures.tree import tree_of
from lib.data.pictures.volumes import MOST_VALUES
from lib.runtime.errors import LONGEST, InputError
from tests.conftest import REPOSITORY
from tests.data.formats.pictures import read
from tests.data.formats.test_cvat import image
from tests.data.test_labels import NAMES, NERVE, write_images
from tests.data.test_labels import read as read_table_of
from tools.report.page import template
from tools.scoring.pipeline import reading

LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10}">' for k in range(1, 10))
ENTITIES = {
    "laughs": f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
    "file": '<!DOCTYPE x [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
    "parameter": '<!DOCTYPE x [<!ENTITY % l9 SYSTEM "http://localhost/x.dtd">]>',
}


@pytest.mark.parametrize("kind", ENTITIES)
def test_xml_that_declares_an_entity_is_refused(tmp_path: Path, kind: str) -> None:
    body = image("a.png").replace("a.png", "&l9;" if kind != "parameter" else "a.png")
    path = tmp_path / "annotations.xml"
    path.write_text(f"{ENTITIES[kind]}<annotations>{body}</annotations>")
    with pytest.raises(InputError, match=r"it declares the entity 'l\d', which no labelling tool"):
        read(cvat, tmp_path)
    path.write_text(f"{ENTITIES[kind]}<case><mark/></case>")
    assert ddti.find(tree_of(tmp_path)) is None


class Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_pickles_are_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    np.save(tmp_path / "a.npy", np.array([Runs(trap)], object), allow_pickle=True)
    (tmp_path / "b.npy").write_bytes(pickle.dumps(Runs(trap)))
    torch.save({"state": Runs(trap)}, tmp_path / "c.pt")
    for name in ("a.npy", "b.npy"):
        with pytest.raises(UnusableImage):
            read_picture(ImageFile(tmp_path / name))
        with pytest.raises(reading.Unusable):
            reading.read_picture(tmp_path / name, 8)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "c.pt", weights_only=True)
    assert not trap.exists()


def test_every_load_of_weights_and_arrays_is_without_pickles() -> None:
    places = [p for room in ("lib", "tools") for p in (REPOSITORY / room).rglob("*.py")]
    places += list(REPOSITORY.glob("0*.py"))
    assert len(places) > 100
    for path in places:
        text = path.read_text()
        assert text.count("torch.load(") == text.count("weights_only=True"), path
        assert "allow_pickle=True" not in text, path
        assert "import pickle" not in text, path
        assert "yaml.unsafe_load" not in text and "yaml.full_load" not in text, path


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [trap]", "!!python/name:os.mkdir"])
def test_tags_of_yaml_make_no_objects(tmp_path: Path, tag: str) -> None:
    (tmp_path / "config.yaml").write_text(f"experiment_name: {tag}\n")
    with pytest.raises(InputError, match="not a YAML file"):
        load_config(tmp_path / "config.yaml")
    assert not Path("trap").exists()


def test_a_zip_that_unpacks_to_a_hundred_times_its_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_PACKED", 1 << 20)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", bytes(2 << 20))
    with pytest.raises(ArchiveError, match="more than 100 times its own, as bombs do"):
        unpacked(tmp_path / "a.zip", tmp_path / "into")


def test_a_zip_of_too_many_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for number in range(4):
            archive.writestr(f"{number}.png", b"")
    with pytest.raises(ArchiveError, match="more than 3 files: unpack it yourself"):
        unpacked(tmp_path / "a.zip", tmp_path / "into")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_come_out_as_plain_files(tmp_path: Path, kind: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("a.png")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    path = unpacked(tmp_path / "a.zip", tmp_path / "into") / "a.png"
    assert stat.S_ISREG(path.lstat().st_mode)
    assert path.read_text() == "/etc/passwd"


def test_sizes_that_labels_tell_have_a_limit() -> None:
    require_size((8192, 8192))
    for size in ((8192, 8193), (10**9, 10**9), (0, 5), (-5, -5)):
        with pytest.raises(ValueError, match="a size of"):
            require_size(size)
    assert reading.MOST_PIXELS == MOST_PIXELS == 8192 * 8192


def test_a_long_line_of_an_error_is_cut_in_its_middle() -> None:
    assert str(InputError("a\nb")) == "a\nb"
    told = str(InputError("start " + "x" * 10**6 + " end\nnext"))
    assert told.startswith("start x")
    assert told.endswith(" end\nnext")
    assert len(told) < LONGEST + 20


def test_the_document_has_the_limits_of_the_code() -> None:
    told = (REPOSITORY / "SECURITY.md").read_text()
    limits = [f"{MOST_PIXELS:,} pixels", f"{MOST_VALUES:,} values", f"{MOST_FILES:,} files"]
    limits += [f"{MOST_PACKED >> 30} GiB that is {RATIO} times the zip", f"{LIMIT >> 30} GiB"]
    assert [words for words in limits if words not in told] == []


@pytest.mark.parametrize("place", ["../secret.png", "{}/secret.png"])
def test_a_mask_that_a_table_names_elsewhere_is_read_as_a_picture_alone(
    tmp_path: Path, place: str
) -> None:
    data, secret = write_images(tmp_path / "data"), tmp_path / "secret.png"
    masks = [f"../{name}.png" for name in NAMES[1:]] + [place.format(tmp_path)]
    for name in NAMES[1:]:
        cv2.imwrite(str(tmp_path / f"{name}.png"), NERVE[name] * 255)
    images = [f"{name}.png" for name in (*NAMES[1:], NAMES[0])]
    table = pd.DataFrame({"image": images, "mask": masks})
    table.to_csv(data / "train.csv", index=False)
    secret.write_text("a secret")
    with pytest.raises(InputError, match=r"its mask secret\.png: not an image") as refused:
        read_table_of(data)
    assert "a secret" not in str(refused.value)
    cv2.imwrite(str(secret), NERVE[NAMES[0]] * 255)
    assert len(read_table_of(data)) == len(NAMES)


def test_names_are_text_in_the_page() -> None:
    environment = template().environment
    name = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    shown = environment.from_string("{{ name }}{{ {name: name}|tojson }}").render(name=name)
    assert "<" not in shown
