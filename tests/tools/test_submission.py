import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lib import rle
from lib.artifacts.submission import Table, save
from lib.runtime.errors import InputError
from tests.conftest import REPOSITORY, SHAPE
from tools.submission.__main__ import main
from tools.submission.agreement import compared
from tools.submission.blend import blended, require_same_images
from tools.submission.check import inspected, load
from tools.submission.faults import listed

SMALL = (2, 3)


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    return written(tmp_path / "sample_submission.csv", "img,pixels\n1,1 1\n2,1 1\n3,1 1\n")


def options(*words: object, **changes: object) -> argparse.Namespace:
    """As the command line would give them."""
    size = {"height": SMALL[0], "width": SMALL[1], "sample": None, "min_area": 0, "votes": None}
    return argparse.Namespace(command=words[0], **{**size, **changes})


HEADER = "img,pixels\n"
FAULTS = [
    # header
    ("image,pixels\n1,\n", "a wrong header", "line 1: 'image,pixels', not img,pixels or"),
    ("pixels,img\n,1\n", "a wrong header", "line 1"),
    ("\ufeffimg,pixels\n1,\n", "a wrong header", "line 1"),
    (",img,pixels\n0,1,\n", "a wrong header", "line 1"),
    ("1,\n2,\n", "a wrong header", "line 1"),
    # rows
    (HEADER, "no rows", "after line 1"),
    (HEADER + "1,1 1\n\n2,\n", "blank lines", "line 3"),
    (HEADER + "1\n2,\n", "rows that are too short or too long", "line 2 (img 1): 1 values, the"),
    (HEADER + "1,,\n", "rows that are too short or too long", "line 2 (img 1): 3 values, the"),
    (HEADER + ",1 1\n", "rows without an image", "line 2"),
    (HEADER + '1,"1 1\n2,\n', "quotes that do not match", "line 2 (img 1)"),
    (HEADER + "1,\n2,\n1,1 1\n", "doubled rows", "line 4 (img 1): stands in line 2 already"),
    ("img,class_id,pixels\n1,,1 1\n1,a,\n", "rows without a class", "line 2 (img 1)"),
    ("img,class_id,pixels\n1,a,\n1,b,\n2,b,\n", "missing rows", "img 2, class_id a"),
    # run lengths, on 2x3 pixels
    (HEADER + "1,1 1 2\n", "… numbers: run lengths come in pairs …", "line 2 (img 1): 3 numbers"),
    (HEADER + "1,a 1\n", "… is not a whole number", "line 2 (img 1): `a`"),
    (HEADER + "1,1.5 1\n", "… is not a whole number", "line 2 (img 1): `1.5`"),
    (HEADER + "1,1 -1\n", "… is negative: start and length are at least 1", "line 2 (img 1)"),
    (HEADER + "1,0 1\n", "run …: start and length are at least 1", "line 2 (img 1): run `0 1`"),
    (HEADER + "1,5 3\n", "run … ends outside the 6 pixels", "line 2 (img 1): run `5 3`"),
    (HEADER + "1,1 3 3 1\n", "run … overlaps the one ahead of it", "line 2 (img 1): run `3 1`"),
    (
        HEADER + "1,5 1 1 1\n",
        "run … starts before the one ahead of it",
        "line 2 (img 1): run `1 1`",
    ),
    (HEADER + "1,1 2\n", "masks under 3 pixels", "line 2 (img 1): 2 pixels"),
]


@pytest.mark.parametrize(("text", "kind", "where"), FAULTS)
def test_every_fault_is_named_with_its_line(
    tmp_path: Path, text: str, kind: str, where: str
) -> None:
    report = inspected(written(tmp_path / "a.csv", text), SMALL, min_area=3)
    of_kind = [fault for fault in report.faults if fault.kind == kind]
    assert len(of_kind) == 1
    assert f"  {kind}: 1\n    {where}" in listed(report.faults)


SOUND = [
    (HEADER + "1,1 3\n", {("1", ""): 3}),
    (HEADER + "2,\n1,1 6\n", {("2", ""): 0, ("1", ""): 6}),
    (HEADER + "a b,1 2 3 2", {("a b", ""): 4}),  # touching runs, no newline at the end
    ("img,pixels\r\n1, 1  3 \r\n", {("1", ""): 3}),
    ("img,pixels\r1,1 3\r", {("1", ""): 3}),
    ('"img","pixels"\n"1,2","1 3"\n', {("1,2", ""): 3}),
    ("img,class_id,pixels\n1,b,2 5\n1,a,\n", {("1", "b"): 5, ("1", "a"): 0}),
]


@pytest.mark.parametrize(("text", "areas"), SOUND)
def test_a_sound_submission_has_no_fault_and_its_areas_are_told(
    tmp_path: Path, text: str, areas: dict[tuple[str, str], int]
) -> None:
    report = inspected(written(tmp_path / "a.csv", text), SMALL, min_area=3)
    assert report.faults == []
    assert report.areas == areas


def test_no_fault_hides_another(tmp_path: Path, sample: Path) -> None:
    text = 'image,pixels\n4,1 9\n2,"1 1\n2,5 1 1 1\n\n1\n,0 1\n'
    report = inspected(written(tmp_path / "a.csv", text), SMALL, sample)
    assert {(fault.kind, fault.where) for fault in report.faults} == {
        ("a wrong header", "line 1"),
        ("run … ends outside the 6 pixels", "line 2 (img 4)"),
        ("rows that are not asked for", "line 2 (img 4)"),
        ("quotes that do not match", "line 3 (img 2)"),
        ("doubled rows", "line 4 (img 2)"),
        ("run … starts before the one ahead of it", "line 4 (img 2)"),
        ("blank lines", "line 5"),
        ("rows that are too short or too long", "line 6 (img 1)"),
        ("rows without an image", "line 7"),
        ("run …: start and length are at least 1", "line 7 (img )"),
        ("missing rows", "img 3"),
    }


def test_many_faults_of_one_kind_are_counted_and_do_not_hide_one_of_another(tmp_path: Path) -> None:
    rows = "".join(f"{number},1 9\n" for number in range(1000))
    report = inspected(written(tmp_path / "a.csv", f"{HEADER}{rows}x,1\n"), SMALL)
    assert len(report.faults) == 1001
    lines = listed(report.faults).splitlines()
    assert lines[0] == "  run … ends outside the 6 pixels: 1000"
    assert lines[5].startswith("    line 6 (img 4)")
    assert lines[6] == "    ... and 995 more"
    assert lines[8].startswith("    line 1002 (img x)")


def test_rows_out_of_the_samples_order_are_a_note(tmp_path: Path, sample: Path) -> None:
    swapped = written(tmp_path / "a.csv", HEADER + "1,\n3,\n2,\n")
    report = inspected(swapped, SMALL, sample)
    assert report.faults == []
    assert report.notes == [
        "2 rows stand in another order than the sample's; Kaggle pairs them by image"
    ]
    assert inspected(sample, SMALL, sample).notes == []


def test_a_missing_row_does_not_put_the_others_out_of_order(tmp_path: Path, sample: Path) -> None:
    report = inspected(written(tmp_path / "a.csv", HEADER + "2,\n3,\n"), SMALL, sample)
    assert [tuple(fault) for fault in report.faults] == [("missing rows", "img 1", "")]
    assert report.notes == []


def test_without_a_sample_it_says_what_was_not_looked_for(tmp_path: Path) -> None:
    report = inspected(written(tmp_path / "a.csv", HEADER + "1,\n"), SMALL)
    assert report.notes == ["without --sample nobody knows which images are missing or foreign"]


def test_classes_that_the_sample_has_not_are_a_fault_and_images_are_still_paired(
    tmp_path: Path, sample: Path
) -> None:
    text = "img,class_id,pixels\n1,a,\n1,b,\n2,a,\n2,b,\n3,a,\n"
    report = inspected(written(tmp_path / "a.csv", text), SMALL, sample)
    assert [fault[:2] for fault in report.faults] == [
        ("other columns than the sample", "line 1"),
        ("missing rows", "img 3, class_id b"),
    ]


UNREADABLE = [
    (b"", "the file is empty"),
    (b"\n\n", "the file is empty"),
    (b"img,pixels\n1,1 1\n2,\xff\n", "line 3 is no text in UTF-8"),
    (b"img;pixels\n1;\n", "its header is 'img;pixels', not img,pixels or img,class_id,pixels"),
]


@pytest.mark.parametrize(("content", "message"), UNREADABLE)
def test_a_file_that_is_no_table_is_refused_by_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        inspected(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_missing_file_and_a_faulty_sample_are_refused_by_name(
    tmp_path: Path, sample: Path
) -> None:
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        load(tmp_path / "none.csv")
    doubled = written(tmp_path / "doubled.csv", HEADER + "1,\n1,\n")
    with pytest.raises(InputError, match=r"doubled\.csv is no sample submission:\n  doubled rows"):
        inspected(sample, SMALL, doubled)


def test_loading_a_faulty_submission_tells_every_fault(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,1 9\n2,x 1\n")
    with pytest.raises(InputError) as caught:
        load(path, SMALL)
    assert "line 2 (img 1): run `1 9`" in str(caught.value)
    assert "line 3 (img 2): `x`" in str(caught.value)


small_masks = arrays(np.uint8, SMALL, elements=st.integers(0, 1))
names = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=4)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    classes = draw(st.just([""]) | st.lists(names, min_size=1, max_size=2, unique=True))
    images = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    return {(image, name): rle.encode(draw(small_masks)) for image in images for name in classes}


@settings(deadline=None, max_examples=50)  # it writes files
@given(table=tables())
def test_what_is_saved_is_loaded_in_the_same_order(
    tmp_path_factory: pytest.TempPathFactory, table: Table
) -> None:
    path = tmp_path_factory.mktemp("saved") / "a.csv"
    save(path, table)
    assert list(load(path, SMALL).items()) == list(table.items())


def test_a_table_of_rows_with_and_without_a_class_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="some rows name a class"):
        save(tmp_path / "a.csv", {("1", ""): "", ("2", "a"): ""})


@settings(deadline=None)
@given(
    header=st.sampled_from(["img,pixels\n", "img,class_id,pixels\n", "pixels,img\n", "", "1,2\n"]),
    body=st.text(alphabet='012ab -,,,"\n\n\r\ufeff', max_size=40),
)
def test_any_file_is_refused_or_told_about_and_is_loaded_only_where_it_is_sound(
    tmp_path_factory: pytest.TempPathFactory, header: str, body: str
) -> None:
    path = written(tmp_path_factory.mktemp("any") / "a.csv", header + body)
    try:
        report = inspected(path, SMALL)
    except InputError:
        return
    assert all(fault.kind and fault.where for fault in report.faults)
    if report.faults:
        with pytest.raises(InputError):
            load(path, SMALL)
    else:
        assert len(load(path, SMALL)) == report.rows == len(body.splitlines())


# What makes any sound row a faulty one.
SPOILED = ["{0}", "{0},{1},", "{0},{1} 1", "{0},{1} 9 9", ",{1}", '{0},"{1}', "{0}x,{1}", "0,{1}"]


@settings(deadline=None)
@given(
    masks=st.lists(small_masks, min_size=2, max_size=6),
    spoiled=st.dictionaries(st.integers(1, 5), st.sampled_from(SPOILED), min_size=1),
)
def test_each_spoiled_row_is_named_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, masks: list[np.ndarray], spoiled: dict[int, str]
) -> None:
    folder = tmp_path_factory.mktemp("spoiled")
    rows = [f"{number},{rle.encode(mask)}" for number, mask in enumerate(masks)]
    sample = written(folder / "sample.csv", HEADER + "\n".join(rows))
    spoiled = {number: form for number, form in spoiled.items() if number < len(rows)}
    for number, form in spoiled.items():
        rows[number] = form.format(*rows[number].split(",")).replace(", ", ",")
    report = inspected(written(folder / "a.csv", HEADER + "\n".join(rows)), SMALL, sample)
    named = {fault.where.split()[1] for fault in report.faults if fault.kind != "missing rows"}
    assert named == {str(number + 2) for number in spoiled}


def of(*masks: list[int]) -> Table:
    """Masks of 1x4 pixels by number."""
    return {(str(n), ""): rle.encode(np.array([mask])) for n, mask in enumerate(masks)}


A = of([1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])
B = of([0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0])
C = of([0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])
BLENDS = [
    ([1, 1, 1], 2, of([0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])),
    ([1, 1, 1], 1, of([1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0])),
    ([1, 1, 1], 3, of([0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])),
    ([1, 3, 1], 3, B),
    ([2, 1, 1], 3, of([0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])),
    ([2, 1, 1], 2, of([1, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0])),
]


@pytest.mark.parametrize(("weights", "votes", "expected"), BLENDS)
def test_hand_worked_votes(weights: list[int], votes: int, expected: Table) -> None:
    assert blended([A, B, C], weights, votes, (1, 4)) == expected


@given(masks=st.lists(st.tuples(small_masks, small_masks), min_size=1, max_size=4))
def test_one_vote_of_two_is_the_union_and_both_the_intersection(
    masks: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    pair: list[Table] = [
        {(str(n), ""): rle.encode(masks[n][side]) for n in range(len(masks))} for side in (0, 1)
    ]
    for votes, expected in ((1, np.maximum), (2, np.minimum)):
        result = blended(pair, [1, 1], votes, SMALL)
        assert list(result.values()) == [rle.encode(expected(*both)) for both in masks]
    assert blended([pair[0], pair[0]], [1, 1], 2, SMALL) == pair[0]


def saved(path: Path, table: Table) -> Path:
    save(path, table)
    return path


@pytest.fixture
def abc(tmp_path: Path) -> list[str]:
    return [str(saved(tmp_path / f"{n}.csv", t)) for n, t in (("a", A), ("b", B), ("c", C))]


def blend(files: list[str], out: Path, votes: int | None = None) -> int:
    return main(options("blend", files=files, out=out, votes=votes, height=1, width=4))


def test_a_blend_is_what_more_than_half_of_the_votes_say(tmp_path: Path, abc: list[str]) -> None:
    out = tmp_path / "out.csv"
    assert blend(abc, out) == 0
    assert load(out, (1, 4)) == BLENDS[0][2]
    blend([abc[0], f"{abc[1]}:3", abc[2]], out)
    assert load(out, (1, 4)) == B
    blend(abc, out, votes=1)
    assert load(out, (1, 4)) == BLENDS[1][2]
    # Half of the votes is not more than half.
    blend(abc[:2], out)
    assert load(out, (1, 4)) == blended([A, B], [1, 1], 2, (1, 4))


def test_a_blend_has_the_order_of_the_first(tmp_path: Path, abc: list[str]) -> None:
    turned = saved(tmp_path / "turned.csv", dict(reversed(A.items())))
    blend([str(turned), *abc], tmp_path / "out.csv")
    assert list(load(tmp_path / "out.csv", (1, 4))) == list(reversed(A))


def test_a_blend_of_other_images_names_them(tmp_path: Path, abc: list[str]) -> None:
    other = saved(tmp_path / "other.csv", {("0", ""): "", ("x", ""): ""})
    with pytest.raises(InputError) as caught:
        blend([abc[0], str(other)], tmp_path / "out.csv")
    text = str(caught.value)
    assert f"only in {abc[0]} (file 1): 3\n    img 1\n    img 2\n    img 3\n" in text
    assert f"only in {other} (file 2): 1\n    img x" in text
    assert not (tmp_path / "out.csv").exists()


BAD_BLENDS: list[tuple[list[str], int | None, str]] = [
    (["a.csv"], None, "two files at least"),
    (["a.csv", "b.csv:0"], None, "b.csv:0: no such file, and votes are 1 to 999"),
    (["a.csv", "b.csv:1.5"], None, "votes are 1 to 999, as in b.csv:2"),
    (["a.csv", "b.csv"], 0, "--votes 0: the files have 2 votes: choose 1 to 2"),
    (["a.csv", "b.csv:2"], 4, "--votes 4: the files have 3 votes: choose 1 to 3"),
]


@pytest.mark.parametrize(("files", "votes", "message"), BAD_BLENDS)
def test_a_blend_that_cannot_be_is_refused(
    tmp_path: Path, files: list[str], votes: int | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        blend(files, tmp_path / "out.csv", votes)


def test_hand_worked_agreement(abc: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    # Dice 1/2, 0 (only A), 0 (only B), 1 (both empty)
    main(options("compare", a=Path(abc[0]), b=Path(abc[1]), height=1, width=4))
    assert capsys.readouterr().out.splitlines()[1:] == [
        "mean Dice, both empty counting 1: 0.3750",
        "  both empty            1",
        "  only A                1",
        "  only B                1",
        "  both have a mask      1, their mean Dice 0.5000",
        "3 masks differ, most of all:",
        "  img 1: 4 pixels in one only (A 4, B 0), Dice 0.000",
        "  img 0: 2 pixels in one only (A 2, B 2), Dice 0.500",
        "  img 2: 1 pixels in one only (A 0, B 1), Dice 0.000",
    ]


def test_masks_are_compared_by_image_not_by_row() -> None:
    turned = dict(reversed(B.items()))
    assert compared(A, turned, (1, 4)) == compared(A, B, (1, 4))


def test_a_comparison_with_itself_has_no_difference(
    abc: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    main(options("compare", a=Path(abc[0]), b=Path(abc[0]), height=1, width=4))
    out = capsys.readouterr().out
    assert "both empty counting 1: 1.0000" in out
    assert out.endswith("no mask differs\n")


def test_the_same_images_in_another_order_are_the_same() -> None:
    require_same_images({"a": A, "b": dict(reversed(B.items()))})


def command(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.submission", *map(str, words)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_check_ends_with_the_share_of_masks_their_areas_and_a_status(
    tmp_path: Path, sample: Path
) -> None:
    path = written(tmp_path / "a.csv", HEADER + "1,1 10\n2,\n3,1 20\n")
    sound = command("check", path, "--sample", sample)
    assert sound.returncode == 0
    assert sound.stdout.splitlines()[1:] == [
        "2 of 3 readable masks are not empty (66.7%); area in pixels: "
        "min 10, 5 % 10, median 15, 95 % 20, max 20",
        "no faults",
    ]
    faulty = command("check", path, "--sample", sample, "--min-area", 15)
    assert faulty.returncode == 1
    assert "  masks under 15 pixels: 1\n    line 2 (img 1): 10 pixels\n" in faulty.stdout
    assert faulty.stdout.endswith("NOT SOUND\n")


def test_a_wrong_file_ends_the_command_with_one_message(tmp_path: Path) -> None:
    result = command("check", tmp_path / "none.csv")
    assert result.returncode == 1
    assert result.stderr.startswith(f"{tmp_path / 'none.csv'}: cannot be read")
    assert len(result.stderr.splitlines()) == 1


def test_areas_are_told_for_each_class(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "img,class_id,pixels\n1,a,1 2\n1,b,\n2,a,1 4\n2,b,3 3\n"
    path = written(tmp_path / "a.csv", text)
    assert main(options("check", file=path)) == 0
    out = capsys.readouterr().out
    assert "all: 3 of 4 readable masks are not empty (75.0%); area in pixels: min 2," in out
    assert "\na: 2 of 2 readable masks are not empty (100.0%); area in pixels: min 2," in out
    assert "\nb: 1 of 2 readable masks are not empty (50.0%); area in pixels: min 3," in out


def test_images_of_no_pixels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--height and --width are 1 pixel at least"):
        main(options("check", file=tmp_path / "a.csv", height=0))


def test_a_check_loads_neither_torch_nor_pandas() -> None:
    heavy = "{'torch', 'pandas', 'numpy'}"
    code = f"import sys, tools.submission.__main__; print({heavy} & {{*sys.modules}})"
    result = subprocess.check_output([sys.executable, "-c", code], cwd=REPOSITORY, text=True)
    assert result == "{'numpy'}\n"


def test_the_pipelines_own_submission_is_sound(finished_once: Path) -> None:
    sample = finished_once / "data" / "sample_submission.csv"
    report = inspected(finished_once / "runs" / "nerve" / "submission.csv", SHAPE, sample)
    assert (report.faults, report.notes) == ([], [])
    assert report.rows == 3
