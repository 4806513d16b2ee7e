"""Finding planted near-duplicates: lib.folds.duplicates beside the hashes, SSIM and faiss.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.duplicates FOLDER_OF_IMAGES

Copies of SOURCES images, changed as in KINDS, are looked up among all images of the folder, and
the images among each other. A copy found beside its source is right; any two of different people
are wrong; two frames of one person are only counted, since neighbours of a video are alike. The
person is the name up to "_"; two that share a frame, by the plain difference of their grey
values, are one. `best` is the threshold of the best F1 on these very copies, which flatters. The
margin is the least similar copy beside the most similar pair of strangers, whatever the threshold;
0: none came so far as to be compared. The seconds are for all images without the copies, SSIM's
with them.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import faiss
import imagehash
import numpy as np
import numpy.typing as npt
import pandas as pd
from imagededup import methods as imagededup
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from skimage.metrics import structural_similarity
from tqdm import tqdm

from lib.data.pictures.arrays import ImageFile, image_files, read_image
from lib.data.pictures.thumbnails import Grey, Texture, texture, thumbnail
from lib.folds import duplicates

SOURCES, SEED, THREADS, FULL = 100, 0, 4, 5635
LEAST = 0.3  # similarity down to which pairs are scored, so that a threshold can be chosen
SAME_FRAME = 1.5  # mean difference in grey values
USUAL_BITS, USUAL_SSIM = 10, 0.9  # imagededup's default, of 64 bits

Scores = npt.NDArray[np.float32]  # (copies + images, images); more is more alike
Random = np.random.Generator


class Truth(NamedTuple):
    people: npt.NDArray[np.int64]  # (images,)
    sources: npt.NDArray[np.int64]  # (copies,), numbers of images

    def strange(self) -> npt.NDArray[np.bool_]:
        """Which (copies + images, images) show two people; each pair of images once."""
        rows = np.concatenate([self.people[self.sources], self.people])
        return np.asarray((rows[:, None] != self.people[None]) & self._once())

    def alike(self) -> npt.NDArray[np.bool_]:
        """Which (copies + images, images) are two images of one person, each pair once."""
        same = np.zeros((len(self.sources) + len(self.people), len(self.people)), dtype=bool)
        same[len(self.sources) :] = self.people[:, None] == self.people[None]
        return np.asarray(same & self._once())

    def _once(self) -> npt.NDArray[np.bool_]:
        shape = len(self.sources) + len(self.people), len(self.people)
        return ~np.tri(*shape, k=-len(self.sources), dtype=bool)


def main(folder: Path) -> None:
    files = {file.path: file for file in image_files(folder).values()}
    paths = [path for path in sorted(files) if not path.stem.endswith("_mask")]
    images = [read_image(files[path]) for path in paths]
    people = persons([path.stem for path in paths], images)
    rng = np.random.default_rng(SEED)
    sources = rng.choice(len(images), min(SOURCES, len(images)), replace=False)
    copies = [change(images[k], rng) for change in KINDS.values() for k in sources]
    truth = Truth(people, np.tile(sources, len(KINDS)))
    rows = []
    for name, (usual, score) in METHODS.items():
        scores, seconds = score(images, copies)
        for kind, least in (("usual", usual), ("best", best_threshold(scores, truth))):
            row = {"method": name, "threshold": f"{least:.3g} ({kind})"}
            row |= measure(scores, least, truth) | {f"s for {len(images)}": f"{seconds:.1f}"}
            rows.append(row)
    print(markdown(pd.DataFrame(rows)))
    print(f"\n{len(images)} images of {people.max() + 1} persons, {len(copies)} copies. {looks()}")
    print(whole_run([files[path] for path in paths]))


def persons(stems: list[str], images: list[Grey]) -> npt.NDArray[np.int64]:
    """A number for the person of each image, from 0."""
    person, names = pd.factorize(np.array([stem.split("_")[0] for stem in stems]))
    small = [cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA) for image in images]
    flat = np.stack(small).reshape(len(images), -1).astype(float)
    same = np.nonzero(cdist(flat, flat, "cityblock") < SAME_FRAME * flat.shape[1])
    links = coo_array((np.ones(len(same[0])), tuple(person[k] for k in same)), [len(names)] * 2)
    return connected_components(links, directed=False)[1][person]


def reencoded(image: Grey, rng: Random) -> Grey:
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 81))]
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_GRAYSCALE))


def regraded(image: Grey, rng: Random) -> Grey:
    graded = image * rng.uniform(0.7, 1.3) + rng.uniform(-15, 15)
    return graded.clip(0, 255).astype(np.uint8)


def moved(image: Grey, rng: Random) -> Grey:
    """By up to 6 pixels of a frame of 420x580 along each axis, fractions included."""
    height, width = image.shape
    x, y = rng.uniform(-6, 6, 2) * (width / 580, height / 420)
    matrix = np.array([[1, 0, x], [0, 1, y]], dtype=np.float32)
    return np.asarray(
        cv2.warpAffine(
            image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    )


def noisy(image: Grey, rng: Random) -> Grey:
    noise = rng.normal(0, rng.uniform(2, 6), image.shape)
    return (image + noise).clip(0, 255).astype(np.uint8)


def all_together(image: Grey, rng: Random) -> Grey:
    return reencoded(noisy(regraded(moved(image, rng), rng), rng), rng)


KINDS = {
    "re-encoded": reencoded,
    "brightness": regraded,
    "moved": moved,
    "noise": noisy,
    "all together": all_together,
}


def ours(images: list[Grey], copies: list[Grey]) -> tuple[Scores, float]:
    start = time.perf_counter()
    textures = textures_of(images)
    duplicates.near_duplicates(textures)
    seconds = time.perf_counter() - start
    both = np.concatenate([textures_of(copies), textures])
    pairs = duplicates.near_duplicates(both, similar=LEAST)
    scores = np.zeros((len(copies) + len(images),) * 2, dtype=np.float32)
    scores[pairs.a, pairs.b] = scores[pairs.b, pairs.a] = pairs.similarity
    return scores[:, len(copies) :], seconds


def ssim(images: list[Grey], copies: list[Grey]) -> tuple[Scores, float]:
    """scikit-image's SSIM of the thumbnails, for the pairs that lib.folds.duplicates offers."""
    scores = ours(images, copies)[0]
    small, both = thumbnails(images), thumbnails(copies + images)
    start = time.perf_counter()
    for row, image in tqdm(np.argwhere(scores), desc="ssim", disable=None, leave=False):
        scores[row, image] = structural_similarity(both[row], small[image])
    return scores, time.perf_counter() - start


def hashes(
    bits_of: Callable[[Grey], npt.NDArray[np.bool_]], images: list[Grey], copies: list[Grey]
) -> tuple[Scores, float]:
    """Minus the Hamming distance of the hashes."""

    def describe(pictures: list[Grey]) -> Scores:
        bits = [bits_of(picture) for picture in tqdm(pictures, disable=None, leave=False)]
        return np.stack(bits).astype(np.float32) * 2 - 1

    start = time.perf_counter()
    signs = describe(images)
    products = signs @ signs.T
    seconds = time.perf_counter() - start
    bits = signs.shape[1]
    return (np.concatenate([describe(copies) @ signs.T, products]) - bits) / 2, seconds


def bits_of_imagehash(function: Callable[..., Any], image: Grey) -> npt.NDArray[np.bool_]:
    return np.asarray(function(Image.fromarray(image)).hash.ravel())


def bits_of_imagededup(method: Any, image: Grey) -> npt.NDArray[np.bool_]:
    words = bytes.fromhex(method.encode_image(image_array=image))
    return np.unpackbits(np.frombuffer(words, dtype=np.uint8)).astype(bool)


Method = Callable[[list[Grey], list[Grey]], tuple[Scores, float]]
METHODS: dict[str, tuple[float, Method]] = {
    "lib.folds.duplicates": (duplicates.SIMILAR, ours),
    "its candidates, scikit-image SSIM": (USUAL_SSIM, ssim),
}
for bits, hash_size in ((64, 8), (256, 16)):
    for function in (imagehash.phash, imagehash.dhash, imagehash.whash):
        bits_of = partial(bits_of_imagehash, partial(function, hash_size=hash_size))
        score = partial(hashes, bits_of)
        METHODS[f"imagehash {function.__name__}, {bits} bits"] = (-USUAL_BITS * bits / 64, score)
for kind in (imagededup.PHash, imagededup.DHash, imagededup.WHash):
    score = partial(hashes, partial(bits_of_imagededup, kind(verbose=False)))
    METHODS[f"imagededup {kind.__name__}"] = (-USUAL_BITS, score)


def textures_of(images: list[Grey]) -> Texture:
    return np.stack([texture(image) for image in images])


def thumbnails(images: list[Grey]) -> Grey:
    return np.stack([thumbnail(image) for image in images])


def best_threshold(scores: Scores, truth: Truth) -> float:
    right = np.sort(scores[np.arange(len(truth.sources)), truth.sources])
    wrong = np.sort(scores[truth.strange()])
    kept = len(right) - np.searchsorted(right, right)
    f1 = 2 * kept / (len(right) + kept + len(wrong) - np.searchsorted(wrong, right))
    return float(right[np.argmax(f1)])


def measure(scores: Scores, least: float, truth: Truth) -> dict[str, str]:
    right = scores[np.arange(len(truth.sources)), truth.sources]
    strangers = scores[truth.strange()]
    wrong, hits = int((strangers >= least).sum()), int((right >= least).sum())
    recall = (right >= least).reshape(len(KINDS), -1).mean(axis=1)
    return {
        "wrong pairs": str(wrong),
        "precision": f"{hits / max(1, hits + wrong):.3f}",
        **{kind: f"{share:.2f}" for kind, share in zip(KINDS, recall, strict=True)},
        "margin": f"{right.min():.3g} / {strangers.max():.3g}",
        "pairs of one person": str(int((scores[truth.alike()] >= least).sum())),
    }


def markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def looks() -> str:
    """Seconds of each with each, for FULL random sketches: a bound of them spares nothing."""
    sketches = np.random.default_rng(SEED).normal(size=(FULL, 768)).astype(np.float32)
    sketches /= np.linalg.norm(sketches, axis=1, keepdims=True)
    axes = np.eye(768, dtype=np.float32)
    described = duplicates._Described([], np.ones(FULL), sketches, axes, sketches)
    start = time.perf_counter()
    list(duplicates._candidates(described))
    ours = time.perf_counter() - start
    start = time.perf_counter()
    index = faiss.IndexFlatIP(sketches.shape[1])
    index.add(sketches)
    index.range_search(sketches, duplicates.SKETCH_SIMILAR)
    theirs = time.perf_counter() - start
    return f"First look at {FULL} sketches: numpy {ours:.2f} s, faiss {theirs:.2f} s."


def whole_run(files: list[ImageFile]) -> str:
    """Reading, decoding and comparing FULL frames; files are read again where there are fewer."""
    chosen = [files[k % len(files)] for k in range(FULL)]
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        read = pool.map(lambda file: texture(read_image(file)), chosen)
        textures = np.stack(list(read))
    between = time.perf_counter()
    pairs = len(duplicates.near_duplicates(textures))
    end = time.perf_counter()
    return (
        f"{FULL} frames ({min(FULL, len(files))} files): {between - start:.1f} s to decode and "
        f"shrink, {end - between:.1f} s to compare; {pairs} pairs."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
