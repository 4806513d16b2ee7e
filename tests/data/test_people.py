"""Who is on an image, where no table tells."""

import pytest

from lib.config.fields import Config
from lib.data.people import people_of
from lib.runtime.errors import InputError


def people(*paths: str, pattern: str = "") -> list[str]:
    found = people_of({path: path for path in paths}, Config(subject_pattern=pattern))
    return [found.by_image.get(path, "") for path in paths]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["1_1.png", "1_2.png", "2_1.png", "2_2.png"], ["1", "1", "2", "2"]),
        (
            [
                "patient0001_2CH_ED.png",
                "patient0001_4CH.png",
                "patient0002_2CH.png",
                "patient0002_3.png",
            ],
            ["patient0001", "patient0001", "patient0002", "patient0002"],
        ),
        (
            ["bus_01-l.png", "bus_01-r.png", "bus_02-l.png", "bus_02-r.png"],
            ["bus_01"] * 2 + ["bus_02"] * 2,
        ),
        (["p1/a.png", "p1/b.png", "p2/a.png", "p2/b.png"], ["p1", "p1", "p2", "p2"]),
        (["loop1.dcm#1", "loop1.dcm#2", "loop2.dcm#1"], ["", "", ""]),
        (["us001.png", "us002.png"], ["", ""]),
        (["IMG_2023_1.png", "IMG_2023_2.png", "IMG_2022_1.png", "IMG_2022_2.png"], [""] * 4),
        (["20230101_1.png", "20230101_2.png", "20230102_1.png", "20230102_2.png"], [""] * 4),
        (["frame_001.png", "frame_002.png"], ["", ""]),
        (["a1-x.png", "b2-x.png"], ["", ""]),  # each name another: nothing is told
        (["benign/a.png", "benign/b.png", "normal/a.png", "normal/b.png"], [""] * 4),
        (["train/1_1.png", "train/1_2.png", "val/2_1.png", "val/2_2.png"], ["1", "1", "2", "2"]),
        (["1_1.png", "1_2.png", "x.png"], ["", "", ""]),  # one name of another form
    ],
)
def test_people_are_guessed_by_folders_and_names(paths: list[str], expected: list[str]) -> None:
    assert people(*paths) == expected


def test_a_pattern_decides_and_must_fit_every_image() -> None:
    paths = ["x/s7a.nii.gz#1", "x/s8b.png"]
    assert people(*paths, pattern=r"s(\d)") == ["7", "8"]
    assert people(*paths, pattern=r"s\d") == ["s7", "s8"]
    assert people("1_1.png", "1_2.png", "2_1.png", "2_2.png", pattern="none") == [""] * 4
    with pytest.raises(InputError, match=r"is not found in the names of 1 images, such as x/s8b"):
        people(*paths, pattern=r"s7")
    with pytest.raises(InputError, match="not a regular expression"):
        people(*paths, pattern="(")
