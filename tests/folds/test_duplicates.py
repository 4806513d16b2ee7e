"""Near-duplicates: every planted kind is found, and nothing that merely looks like ultrasound."""

import tracemalloc
from collections.abc import Callable, Iterable
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from lib.data.pictures.thumbnails import SHAPE, texture, thumbnail
from lib.folds import duplicates
from lib.folds.duplicates import find_duplicates, near_duplicates

Grey = npt.NDArray[np.uint8]
Textures = npt.NDArray[np.int8]

HEIGHT, WIDTH = 420, 580


def frame(seed: int, height: int = HEIGHT, width: int = WIDTH) -> Grey:
    """Speckle of its own under the layout all frames share: bright on top, dark below."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    speckle = cv2.GaussianBlur(noise, (0, 0), width / 60, sigmaY=height / 140)
    layout = np.linspace(190, 50, height, dtype=np.float32)[:, None]
    return np.asarray(layout + 20 * speckle / (speckle.std() or 1)).clip(0, 255).astype(np.uint8)


def moved(image: Grey, rows: float, columns: float) -> Grey:
    matrix = np.array([[1, 0, columns], [0, 1, rows]], dtype=np.float32)
    size = image.shape[::-1]
    return np.asarray(cv2.warpAffine(image, matrix, size, borderMode=cv2.BORDER_REPLICATE))


def graded(image: Grey, gain: float, offset: float) -> Grey:
    return (image * gain + offset).clip(0, 255).astype(np.uint8)


def noisy(image: Grey) -> Grey:
    noise = np.random.default_rng(99).normal(0, 5, image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def reencoded(image: Grey) -> Grey:
    encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 50])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))


def textures_of(images: Iterable[Grey]) -> Textures:
    return np.stack([texture(image) for image in images])


def found(*images: Grey) -> list[tuple[int, int]]:
    pairs = near_duplicates(textures_of(images))
    return list(zip(pairs["a"], pairs["b"], strict=True))


def scaled(image: Grey) -> Grey:
    return np.asarray(cv2.resize(image, (256, 186), interpolation=cv2.INTER_AREA))


COPIES: dict[str, Callable[[Grey], Grey]] = {
    "identical": lambda image: image.copy(),
    "re-encoded": reencoded,
    "darker": lambda image: graded(image, 0.7, 5),
    "brighter": lambda image: graded(image, 1.2, 10),
    "noisy": noisy,
    "half a pixel of the thumbnail": lambda image: moved(image, 2.2, -2.3),
    "six rows up": lambda image: moved(image, -6, 0),
    "six columns right": lambda image: moved(image, 0, 6),
    "six of both": lambda image: moved(image, 6, -6),
    "smaller": scaled,
    "all together": lambda image: reencoded(noisy(graded(moved(image, 5, 6), 0.75, 12))),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_changed_copy_is_found(copy: Callable[[Grey], Grey]) -> None:
    images = [frame(seed) for seed in range(4)]
    assert found(*images, copy(images[2])) == [(2, 4)]


OTHERS: dict[str, Callable[[Grey], Grey]] = {
    "mirrored": lambda image: np.ascontiguousarray(image[:, ::-1]),
    "upside down": lambda image: np.ascontiguousarray(image[::-1]),
    "negative": lambda image: 255 - image,
    "fifteen columns aside": lambda image: moved(image, 0, 15),
    "fifteen rows down": lambda image: moved(image, 15, 0),
    "its halves swapped": lambda image: np.roll(image, WIDTH // 2, axis=1),
    "another frame": lambda image: frame(1000),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_another_view_is_no_duplicate(other: Callable[[Grey], Grey]) -> None:
    image = frame(0)
    assert found(image, other(image)) == []


def test_frames_of_different_people_are_far_below_the_threshold() -> None:
    frames = [frame(seed) for seed in range(60)]
    whole = np.asarray(np.corrcoef([thumbnail(image).ravel() for image in frames]))
    assert np.median(whole[np.triu_indices(60, 1)]) > 0.7  # alike as a whole, by their layout
    assert near_duplicates(textures_of(frames), similar=duplicates.SIMILAR / 2).empty


def test_an_image_of_one_grey_value_has_no_duplicate() -> None:
    black, white = np.zeros((HEIGHT, WIDTH), np.uint8), np.full((HEIGHT, WIDTH), 255, np.uint8)
    assert found(black, white, frame(0), black[:50], white, frame(0)) == [(2, 5)]


def test_images_of_any_size_are_squashed_to_one_shape() -> None:
    for shape in [(1, 1), (1, 700), (2, 3), SHAPE, (HEIGHT, WIDTH)]:
        small = thumbnail(frame(0, *shape))
        assert small.shape == SHAPE
        assert small.dtype == np.uint8


def test_a_thumbnail_keeps_the_mean_of_its_areas() -> None:
    image = np.kron(frame(3, *SHAPE), np.ones((4, 5), dtype=np.uint8))
    np.testing.assert_array_equal(thumbnail(image), frame(3, *SHAPE))


@pytest.mark.parametrize("n", [0, 1])
def test_there_are_no_pairs_without_two_images(n: int) -> None:
    pairs = near_duplicates(np.ones((n, *SHAPE), dtype=np.int8))
    assert pairs.empty
    assert list(pairs.columns) == ["a", "b", "similarity"]


def planted() -> Textures:
    """Twelve frames and a copy of each third one, moved and made noisy."""
    images = [frame(seed) for seed in range(12)]
    copies = [noisy(moved(image, 3, -4)) for image in images[::3]]
    return textures_of(images + copies)


def test_each_pair_stands_once_in_order_with_a_before_b() -> None:
    pairs = near_duplicates(planted())
    assert pairs[["a", "b"]].to_numpy().tolist() == [[0, 12], [3, 13], [6, 14], [9, 15]]
    assert pairs["similarity"].between(duplicates.SIMILAR, 1).all()
    assert pairs.dtypes.map(str).to_list() == ["int64", "int64", "float64"]


def test_the_order_of_the_rows_does_not_matter() -> None:
    textures = planted()
    order = np.random.default_rng(0).permutation(len(textures))
    shuffled = near_duplicates(textures[order])
    back = {
        (*sorted((order[row.a], order[row.b])), row.similarity) for row in shuffled.itertuples()
    }
    assert back == set(near_duplicates(textures).itertuples(index=False, name=None))


def test_a_change_of_contrast_alone_leaves_the_similarity_at_one() -> None:
    image = frame(0) // 2 + 40
    similarity = near_duplicates(textures_of([image, graded(image, 1.3, -20)]))
    assert similarity["similarity"].to_list() == pytest.approx([1], abs=0.002)


def test_the_similarity_is_the_correlation_of_the_textures() -> None:
    one, other = frame(0).astype(float), frame(1).astype(float)
    half, fifth = (one + other) / 2, (4 * one + other) / 5
    images = [image.round().astype(np.uint8) for image in (one, half, fifth)]
    pairs = near_duplicates(textures_of(images), similar=0.6)
    similarity = {(row.a, row.b): row.similarity for row in pairs.itertuples()}
    assert similarity[0, 1] == pytest.approx(1 / 2**0.5, abs=0.03)
    assert similarity[0, 2] == pytest.approx(4 / 17**0.5, abs=0.03)
    assert similarity[0, 1] < duplicates.SIMILAR < similarity[0, 2]


def test_what_a_move_pushes_out_of_view_does_not_count() -> None:
    height, width = SHAPE
    wide = frame(5, height + 1, width + 1)
    pairs = near_duplicates(textures_of([wide[:-1, :-1], wide[1:, 1:]]))
    assert pairs["similarity"].to_list() == pytest.approx([1], abs=0.015)


def test_small_blocks_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    textures = np.concatenate([planted()] * 4)
    whole = near_duplicates(textures)
    monkeypatch.setattr(duplicates, "BLOCK", 2 * SHAPE[0] * SHAPE[1])
    pd.testing.assert_frame_equal(near_duplicates(textures), whole)


def peak_megabytes(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_each_with_each_needs_no_table_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 2**18)
    sketches = np.eye(4000, 16, dtype=np.float32)
    axes = np.eye(16, dtype=np.float32)
    described = duplicates._Described([], np.ones(4000), sketches, axes, sketches)
    assert 4000**2 * sketches.itemsize / 1e6 == 64
    assert peak_megabytes(lambda: list(duplicates._candidates(described))) < 4


def test_many_copies_of_one_image_are_not_compared_all_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(duplicates, "BLOCK", 2**18)
    textures = textures_of([frame(0)] * 300)
    as_floats = textures.size * 4 / 1e6
    assert as_floats > 14
    assert peak_megabytes(lambda: near_duplicates(textures)) < as_floats


def video(seed: int) -> list[Grey]:
    """Frames of one person, small ones, each two pixels further along."""
    whole = frame(seed, HEIGHT // 4, WIDTH // 4 + 2 * 24)
    return [whole[:, at : at + WIDTH // 4] for at in range(0, 2 * 24, 2)]


@cache
def people_with_copies() -> Textures:
    """Five videos; two frames stand in another place of their own, two in another person's."""
    videos = [video(seed) for seed in range(5)]
    videos[0][20], videos[1][23] = graded(videos[0][2], 0.7, 5), moved(videos[1][0], 1, -1)
    videos[2][17], videos[4][0] = graded(videos[3][5], 0.8, 9), reencoded(videos[0][10])
    return textures_of(image for video in videos for image in video)


def by_textures_alone(textures: Textures, others: Textures) -> dict[tuple[int, int], float]:
    """The full search: the similarity of each with each, worked out without any look before."""
    down, across = np.mgrid[-duplicates.MOVES : duplicates.MOVES + 1, : 2 * duplicates.MOVES + 1]
    best = np.zeros((len(textures), len(others)))
    for rows, columns in zip(down.ravel(), across.ravel() - duplicates.MOVES, strict=True):
        here, there = (
            np.s_[
                :,
                max(0, sign * rows) : SHAPE[0] + min(0, sign * rows),
                max(0, sign * columns) : SHAPE[1] + min(0, sign * columns),
            ]
            for sign in (1, -1)
        )
        a, b = textures[here], others[there]
        products = a.reshape(len(a), -1).astype("f4") @ b.reshape(len(b), -1).astype("f4").T
        best = np.maximum(best, products * textures[0].size / a[0].size)
    norms = [np.sqrt(np.square(t.astype(float)).sum(axis=(1, 2))) for t in (textures, others)]
    similarity = (best / np.outer(*norms)).clip(0, 1).round(3)
    rows, columns = np.nonzero(similarity >= duplicates.SIMILAR)
    return {(a, b): similarity[a, b] for a, b in zip(rows.tolist(), columns.tolist(), strict=True)}


@pytest.mark.parametrize("share", [0.3, duplicates.SHARE])
def test_the_quick_looks_lose_no_pair_of_the_full_search(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "SHARE", share)
    monkeypatch.setattr(duplicates, "SAMPLE", 50)
    textures = people_with_copies()
    full = by_textures_alone(textures, textures)
    wanted = [(*pair, similarity) for pair, similarity in full.items() if pair[0] < pair[1]]
    planted = {(2, 20), (24, 47), (65, 77), (10, 96)}
    assert planted < {(a, b) for a, b, _ in wanted}
    assert list(near_duplicates(textures).itertuples(index=False, name=None)) == wanted


def test_pairs_with_test_images_are_those_of_the_full_search() -> None:
    textures = people_with_copies()
    within, across = find_duplicates(textures[:60], textures[60:])
    full = by_textures_alone(textures[:60], textures[60:])
    assert (10, 36) in full
    assert list(across.itertuples(index=False, name=None)) == [(*p, s) for p, s in full.items()]
    pd.testing.assert_frame_equal(within, near_duplicates(textures[:60]))
    assert find_duplicates(textures[:60], None)[1].empty


def test_the_bound_is_never_below_the_correlation_of_two_sketches() -> None:
    sketches = duplicates._described(people_with_copies()).sketches
    for axes in (1, 5, 40):
        found = np.linalg.svd(sketches[::2], full_matrices=False)[2][:axes]
        bounds = duplicates._bounds(sketches, found)
        assert (bounds @ bounds.T >= sketches @ sketches.T - duplicates.ROUNDING / 10).all()
