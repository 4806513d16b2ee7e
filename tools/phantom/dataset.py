"""A phantom of Kaggle's Ultrasound Nerve Segmentation: settings -> a data set.

    python -m tools.phantom FOLDER [--subjects N] [--frames N] [--test-subjects N] [--test-frames N]
                                 [--seed N] [--vessel] [--format kaggle|hydrogen_torch|dicom]

FOLDER holds the data set in one of the layouts that tools/phantom/formats.py describes, and truth/,
which a competition keeps. --vessel adds a second class, the great vessel beside the nerve, and
changes no picture.

A subject is a piece of neck: muscles, fascia, a vessel and, along a stretch of it, the roots of
the plexus. Its frames are one drifting sweep, so neighbours are near-duplicates, as in a video.
A twin shows the same place as its image, under an empty label: the real set's contradictions.

The image is a cheap Field II (Jensen 1996): scatterers are complex Gaussian noise times the echo
strength, blurred by the point spread function; their envelope is averaged over looks (Burckhardt
1978), compressed to decibels and given a gamma. Strengths, sizes and widths were tuned until grey
values, speckle and masks measured like the competition's (benchmarks/phantom.py).

The bytes do not depend on the processor. The basic operations of NumPy round alike everywhere;
logarithms, powers and filters do not, so they are tables and sums that leave nothing to round.
"""

import json
import math
import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lib import rle
from lib.runtime.errors import InputError
from lib.runtime.portable import cubic, linear, resampled
from lib.runtime.progress import progress
from tools.phantom.formats import CLASSES, FORMATS, File, Labels, Scan, opened, truth
from tools.phantom.rounding import amplitude_of, blurred, decibel_of, grey_of, length, line, sigmoid

# float32 all through; OpenCV's stubs know no more than "an array".
Array = npt.NDArray[Any]

Picture = npt.NDArray[np.uint8]

Random = np.random.Generator

VERSION = 2

HEIGHT, WIDTH = 420, 580

# Tissue is drawn on a canvas wider and deeper than a frame, at every second column: the beam is
# twice as wide as it is long, so nothing is lost. Coordinates are pixels of the frame throughout.
ROWS, COLUMNS, STEP, MARGIN = 440, 330, 2, 40

LOOKS, PLANES = 6, 4

# A vessel's wall and how far inside the frame it must end, in pixels; how much of it must be there.
WALL, EDGE, PLAIN = 2, 4, 0.8

SCATTER_SD = math.sqrt((255**2 - 1) / 12)

RANGE = 45.0  # dB from black to white

# Sigmas of the point spread function, axial and lateral, at the skin and at the bottom.
NEAR, FAR = (1.7, 2.9), (2.0, 4.7)

NERVE_SHARE_SD, TRAIN_SHARE, TEST_SHARE, TWIN_SHARE = 0.23, 0.41, 0.47, 0.02

# Random fields of a tissue, as the spacing of their knots in (rows, columns) pixels.
FIELDS = {
    "bend": (70, 150),
    "sway": (60, 130),
    "sheets": (42, 110),
    "gleam": (28, 62),
    "patch": (44, 90),
    "fibre": (6, 32),
    "septa": (22, 70),
    "shade": (150, 160),
}


class FolderError(InputError):
    """The folder holds something other than this phantom data set."""


@dataclass(frozen=True)
class Settings:
    subjects: int = 15
    frames: int = 20
    test_subjects: int = 4
    test_frames: int = 12
    seed: int = 0
    vessel: bool = False
    format: str = "kaggle"
    version: int = VERSION

    def __post_init__(self) -> None:
        smallest = min(self.subjects, self.frames, self.test_subjects, self.test_frames)
        if smallest < 1 or self.seed < 0:
            raise InputError(f"{self}: at least 1 subject and 1 frame of each, and a seed >= 0")
        if self.format not in FORMATS:
            raise InputError(f"format={self.format}: choose one of {', '.join(FORMATS)}")
        if not set(self.classes) <= set(FORMATS[self.format].classes):
            raise InputError(
                f"format={self.format} has no place for a vessel's class: choose one of "
                + ", ".join(name for name, kind in FORMATS.items() if "vessel" in kind.classes)
            )

    @property
    def classes(self) -> tuple[str, ...]:
        return CLASSES if self.vessel else CLASSES[:1]


@dataclass(frozen=True)
class Job:
    """All that one process needs to make one subject; `names[t]` is the image of video frame t."""

    subject: int
    test: bool
    seed: tuple[int, int, int]
    names: tuple[str, ...]
    share: float
    twins: int
    vessel: bool
    format: str


@dataclass(frozen=True)
class Wander:
    """A quantity that changes slowly along the neck."""

    base: float
    swing: float
    rate: float
    phase: float

    def __call__(self, z: float) -> float:
        return self.base + self.swing * math.sin(self.rate * z + self.phase)


@dataclass(frozen=True)
class Ellipse:
    """Half axes and centre in pixels; `angle` in radians of the first axis, y down."""

    row: float
    column: float
    along: float
    across: float
    angle: float

    def local(self, y: Array, x: Array) -> tuple[Array, Array]:
        """Coordinates along and across the ellipse, in half axes: the outline is at radius 1."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        dy, dx = y - self.row, x - self.column
        return (dx * cos + dy * sin) / self.along, (dy * cos - dx * sin) / self.across

    def outline(self, wobble: Array) -> Array:
        """Points (n, 2) as x, y; `wobble` (n,) scales the radius of each."""
        t = np.linspace(0, 2 * np.pi, len(wobble), endpoint=False)
        u, v = self.along * np.cos(t) * wobble, self.across * np.sin(t) * wobble
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return np.stack([self.column + u * cos - v * sin, self.row + u * sin + v * cos], axis=1)


@dataclass(frozen=True)
class Root:
    """A root of the plexus: its place in half axes of the nerve, its radius in pixels."""

    along: float
    across: float
    radius: float


@dataclass(frozen=True)
class Blob:
    """A dark round structure that is no nerve: vessel or lymph node, seen around depth `z`."""

    row: Wander
    column: Wander
    radius: float
    echo: float
    z: float
    reach: float

    def there(self, z: float) -> float:
        """Its share, 0..1, in the echo at `z`."""
        return math.exp(-(((z - self.z) / self.reach) ** 2))

    def away(self, y: Array, x: Array, z: float) -> Array:
        return length((x - self.column(z)) * np.float32(0.85), y - self.row(z))


@dataclass(frozen=True)
class Anatomy:
    row: Wander
    column: Wander
    area: Wander
    ratio: float
    angle: Wander
    roots: tuple[Root, ...]
    blobs: tuple[Blob, ...]
    fat: float
    bone: float
    period: float
    muscle: float
    gamma: float
    top: float
    grain: float

    def nerve(self, z: float) -> Ellipse:
        across = math.sqrt(self.area(z) / (math.pi * self.ratio))
        along = across * self.ratio
        return Ellipse(self.row(z), self.column(z), along, across, self.angle(z))


@dataclass(frozen=True)
class Tissue:
    """Anatomy with its scatterers, int8 (PLANES, 2 * LOOKS, ROWS, COLUMNS), and coarse fields."""

    anatomy: Anatomy
    scatterers: Array
    fields: dict[str, Array]

    def fields_at(self, z: float, names: Iterable[str] = FIELDS) -> dict[str, Array]:
        return {name: _spread(_between(self.fields[name], z)) for name in names}


@dataclass(frozen=True)
class Frame:
    """Where the probe is: `z` in planes along the neck, `shift` in pixels, `stretch` by pressure.

    `nerve` 0..1 is how much of the nerve there is to see, `labelled` whether the mask shows it,
    `noise` (2, 12) the annotator's errors of nerve and vessel, in standard deviations.
    """

    z: float
    shift: float
    stretch: float
    nerve: float
    labelled: bool
    noise: Array


@dataclass
class Echo:
    """What the beam meets: `strength` in dB of diffuse scatter, `mirror` amplitude of fascia."""

    y: Array
    x: Array
    strength: Array
    mirror: Array

    def fill(self, inside: Array, level: Array | float) -> None:
        self.strength += inside * (level - self.strength)


def generate(
    folder: Path,
    subjects: int = Settings.subjects,
    frames: int = Settings.frames,
    test_subjects: int = Settings.test_subjects,
    test_frames: int = Settings.test_frames,
    seed: int = Settings.seed,
    vessel: bool = Settings.vessel,
    format: str = Settings.format,
    workers: int | None = None,
) -> None:
    """Fill `folder`; `frames` are per subject, `workers` processes (None: one a core).

    `vessel` adds a mask of the great vessel to every frame that shows it; the pictures stay as
    they are. The files are the same for any number of workers. Where this call has filled the
    folder before nothing happens; where it was cut off it starts again. FolderError for any other
    content, InputError for settings that do not go together.
    """
    settings = Settings(subjects, frames, test_subjects, test_frames, seed, vessel, format)
    folder = Path(folder)
    if _is_complete(folder, settings):
        print(f"{folder}: this phantom data set is there already, nothing to do")
        return
    _write_settings(folder, settings, complete=False)
    _write_all(folder, settings, workers or os.cpu_count() or 1)
    _write_settings(folder, settings, complete=True)
    print(f"{folder}: {subjects * frames} train and {test_subjects * test_frames} test frames")


def pictures(count: int, seed: int) -> list[Picture]:
    """Frames of one subject, uint8 (420, 580); about half of them show a nerve."""
    rng = np.random.default_rng([seed, 3, 0])
    tissue = _tissue(rng)
    frames, _ = _sweep(rng, count, 0.5, 0)
    with _one_thread():
        return [render(tissue, frame) for frame in frames]


def clip(count: int, seed: int, slower: float) -> list[tuple[Picture, Picture]]:
    """Frames of one subject and their true masks 0/1, both uint8 (420, 580), as a scanner films it.

    A data set's frames are far apart; here the probe moves so many times slower. The masks are the
    nerve's own outline, without an annotator's errors; about half of them are not empty.
    """
    rng = np.random.default_rng([seed, 3, 1])
    tissue = _tissue(rng)
    frames, _ = _sweep(rng, count, 0.5, 0, slower)
    with _one_thread():
        return [(render(tissue, frame), _true_mask(tissue, frame)) for frame in frames]


def _is_complete(folder: Path, settings: Settings) -> bool:
    path = folder / "truth" / "settings.json"
    if not any(found.is_file() for found in folder.rglob("*")):
        return False
    if not path.exists():
        raise FolderError(f"{folder} holds other files: name a new or an empty folder")
    found = json.loads(path.read_text())
    complete = bool(found.pop("complete"))
    if found != asdict(settings):
        raise FolderError(
            f"{folder} holds a phantom data set made with other settings ({found}): "
            "name a new folder, or delete this one"
        )
    return complete


def _write_settings(folder: Path, settings: Settings, complete: bool) -> None:
    text = json.dumps(asdict(settings) | {"complete": complete}, indent=2) + "\n"
    with opened(folder, pack="") as write:
        write("truth/settings.json", text.encode())


def _write_all(folder: Path, settings: Settings, workers: int) -> None:
    """The tables come after the pictures: without them no reader takes the folder for a set."""
    kind, jobs, labels = FORMATS[settings.format], _plan(settings), []
    with opened(folder, kind.pack) as write:
        made = _make_all(jobs, workers)
        for files, label in progress(made, "phantom", len(jobs), "subjects"):
            labels.append(label)
            for file in files:
                write(*file)
        for file in kind.tables(labels, settings.classes):
            write(*file)
    with opened(folder, pack="") as write:
        for file in truth(labels, kind, settings.classes):
            write(*file)


def _plan(settings: Settings) -> list[Job]:
    rng = np.random.default_rng([settings.seed, 2, 0])
    train = _shares(rng, settings.subjects, TRAIN_SHARE)
    test = _shares(rng, settings.test_subjects, TEST_SHARE)
    twins = _twin_counts(rng, settings)
    numbers = rng.permutation(settings.test_subjects * settings.test_frames) + 1
    jobs = []
    for i in range(settings.subjects):
        names = tuple(f"{i + 1}_{n}" for n in rng.permutation(settings.frames) + 1)
        jobs.append(_job(settings, i + 1, (settings.seed, 0, i), names, train[i], twins[i]))
    for i, chunk in enumerate(numbers.reshape(settings.test_subjects, -1)):
        names, subject = tuple(map(str, chunk)), settings.subjects + i + 1
        jobs.append(_job(settings, subject, (settings.seed, 1, i), names, test[i], 0))
    return jobs


def _job(
    settings: Settings,
    subject: int,
    seed: tuple[int, int, int],
    names: tuple[str, ...],
    share: float,
    twins: int,
) -> Job:
    if FORMATS[settings.format].video:
        names = tuple(f"{subject}_{t + 1}" for t in range(len(names)))
    test = subject > settings.subjects
    return Job(subject, test, seed, names, share, twins, settings.vessel, settings.format)


def _shares(rng: Random, subjects: int, mean: float) -> list[float]:
    """Share of frames with a nerve per subject: quantiles of a Beta, so that few subjects do."""
    size = mean * (1 - mean) / NERVE_SHARE_SD**2 - 1
    population = rng.beta(mean * size, (1 - mean) * size, 4000)
    quantiles = (rng.permutation(subjects) + rng.random(subjects)) / subjects
    return [float(share) for share in np.quantile(population, quantiles)]


def _twin_counts(rng: Random, settings: Settings) -> list[int]:
    pairs = max(1, round(TWIN_SHARE * settings.subjects * settings.frames))
    order = rng.permutation(settings.subjects)
    counts = np.bincount(order[np.arange(pairs) % settings.subjects], minlength=settings.subjects)
    return [int(count) for count in counts]


Made = tuple[list[File], Labels]


def _make_all(jobs: list[Job], workers: int) -> Iterator[Made]:
    """In the order of the jobs; no more than two subjects a worker are held at a time."""
    workers = min(workers, len(jobs))
    if workers == 1:
        with _one_thread():
            yield from map(_make_subject, jobs)
        return
    # Not a fork: the caller may hold threads (torch, OpenCV) that a fork would leave locked.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, cv2.setNumThreads, (1,)) as pool:
        under_way: deque[Future[Made]] = deque()
        for job in jobs:
            under_way.append(pool.submit(_make_subject, job))
            if len(under_way) == 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


@contextmanager
def _one_thread() -> Iterator[None]:
    """The pictures are too small to share: OpenCV's threads would cost more than they give."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _make_subject(job: Job) -> Made:
    """The files of one subject, and what the tables say of it."""
    rng = np.random.default_rng(job.seed)
    tissue = _tissue(rng)
    frames, twins = _sweep(rng, len(job.names), job.share, job.twins)
    pictures, masks = {}, {}
    for name, frame in zip(job.names, frames, strict=True):
        pictures[name] = render(tissue, frame)
        masks[name] = _masks(tissue, frame, job.vessel)
    scan = Scan(job.subject, job.test, job.seed[0], pictures, masks)
    runs = {
        name: {kind: rle.encode(mask) for kind, mask in drawn.items()}
        for name, drawn in masks.items()
    }
    pairs = tuple((job.names[a], job.names[b]) for a, b in twins)
    files = list(FORMATS[job.format].pictures(scan))
    return files, Labels(job.subject, job.test, runs, pairs)


def _tissue(rng: Random) -> Tissue:
    # Evenly spread numbers will do: the beam adds up so many that its echo is Gaussian.
    scatterers = rng.integers(-127, 128, (PLANES, 2 * LOOKS, ROWS, COLUMNS), dtype=np.int8)
    fields = {}
    for name, (rows, columns) in FIELDS.items():
        shape = (PLANES, ROWS // rows + 2, COLUMNS * STEP // columns + 2)
        fields[name] = rng.standard_normal(shape, dtype=np.float32)
    return Tissue(_anatomy(rng), scatterers, fields)


def _anatomy(rng: Random) -> Anatomy:
    """Sizes and places are those of the competition's masks; the rest is to the eye."""
    area = float(np.clip(7000 * math.exp(rng.normal(0, 0.17)), 4800, 10300))
    ratio = float(np.clip(1.9 * math.exp(rng.normal(0, 0.13)), 1.35, 2.5))
    across = math.sqrt(area / (math.pi * ratio))
    row = float(np.clip(128 * math.exp(rng.normal(0, 0.36)), 1.2 * across * ratio + 30, 320))
    column = float(np.clip(rng.normal(333, 55), 200, 450))
    return Anatomy(
        row=_wander(rng, row, 8),
        column=_wander(rng, column, 16),
        area=_wander(rng, area, 0.24 * area),
        ratio=ratio,
        angle=_wander(rng, math.radians(rng.normal(-67, 16)), 0.2),
        roots=_roots(rng, across * ratio, across),
        blobs=tuple(_blob(rng, row, column, i) for i in range(int(rng.integers(3, 6)))),
        fat=min(rng.uniform(24, 55), 0.36 * row),
        bone=max(rng.uniform(310, 400), row + 110),
        period=rng.uniform(46, 66),
        muscle=rng.uniform(-39, -33.5),
        gamma=rng.uniform(1.5, 1.9),
        top=rng.uniform(96.0, 97.8),
        grain=rng.uniform(1.5, 4.5),
    )


def _wander(rng: Random, base: float, swing: float) -> Wander:
    return Wander(base, swing, rng.uniform(1.0, 2.2), rng.uniform(0, 2 * math.pi))


def _roots(rng: Random, along: float, across: float) -> tuple[Root, ...]:
    """2 to 5 dark discs of 20-40 pixels in a row along the nerve."""
    count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.4, 0.25, 0.15]))
    room = 1.36 * along / count
    roots = []
    for i in range(count):
        place = (i + 0.5) / count * 2 - 1
        radius = float(np.clip(0.5 * room * rng.uniform(0.85, 1.05), 9.5, min(20, 0.62 * across)))
        side = rng.normal(0, 0.06) + (0.24 if i % 2 else -0.24) * (count > 3)
        roots.append(Root(0.68 * place + rng.normal(0, 0.03), side, radius))
    return tuple(roots)


def _blob(rng: Random, row: float, column: float, index: int) -> Blob:
    """The first is a great vessel beside and below the nerve, the others are small and anywhere."""
    side = 1 if rng.random() < 0.3 else -1
    if index == 0:
        y, x = row + rng.uniform(70, 150), column + side * rng.uniform(150, 240)
        radius, echo, z = rng.uniform(20, 34), -42.0, rng.uniform(0, PLANES - 1)
        reach = rng.uniform(1.5, 5.0)
    else:
        y, x = rng.uniform(60, 380), column + side * rng.uniform(95, 300)
        radius, echo, z = rng.uniform(7, 15), rng.uniform(-42, -32), rng.uniform(0, PLANES - 1)
        reach = rng.uniform(0.4, 1.2)
    return Blob(_wander(rng, y, 8), _wander(rng, x, 16), radius, echo, z, reach)


def _sweep(
    rng: Random, count: int, share: float, twins: int, slower: float = 1
) -> tuple[list[Frame], list[tuple[int, int]]]:
    """The video of a subject; pairs (frame with a nerve, its twin with the empty label)."""
    z = _path(rng, count, slower)
    shown = int(np.clip(round(share * count), 1, max(1, count - 1)))
    low, high = _stretch_of_neck(rng, np.sort(z), shown)
    with_nerve = (z > low) & (z < high)
    # Nerves are not equally plain to see, and none ends at a point.
    plain = rng.uniform(0.7, 1.0)
    nerve = plain * sigmoid((z - low) / 0.05) * sigmoid((high - z) / 0.05)
    shift, stretch = _wander(rng, 0, 11), _wander(rng, 1, 0.012)
    frames = []
    for t in range(count):
        pose = (float(z[t]), shift(0.09 * t / slower), stretch(0.11 * t / slower), float(nerve[t]))
        noise = np.clip(rng.standard_normal((2, 12)), -2.5, 2.5)
        frames.append(Frame(*pose, bool(with_nerve[t]), noise))
    pairs = _twin_pairs(rng, with_nerve, twins)
    for image, twin in pairs:
        frames[twin] = _twin(frames[image])
    return frames, pairs


def _path(rng: Random, count: int, slower: float) -> Array:
    """Place along the neck, to and fro between the first and the last plane."""
    end = PLANES - 1.001
    way = rng.uniform(0, 2 * end) + np.cumsum(rng.uniform(0.02, 0.12, count)) / slower
    return np.asarray(end - np.abs(way % (2 * end) - end))


def _stretch_of_neck(rng: Random, z: Array, shown: int) -> tuple[float, float]:
    """The part of the neck with the nerve: it holds `shown` of the places `z`, sorted."""
    edges = np.concatenate([[-np.inf], (z[1:] + z[:-1]) / 2, [np.inf]])
    first = int(rng.integers(0, len(z) - shown + 1))
    return float(edges[first]), float(edges[first + shown])


def _twin_pairs(rng: Random, with_nerve: Array, twins: int) -> list[tuple[int, int]]:
    """A twin takes the place of a frame that had no nerve, so the share stays as it was drawn."""
    images = rng.permutation(np.flatnonzero(with_nerve))
    empty = rng.permutation(np.flatnonzero(~with_nerve))
    return [(int(a), int(b)) for a, b in zip(images[:twins], empty[:twins], strict=False)]


def _twin(frame: Frame) -> Frame:
    z = frame.z + (0.004 if frame.z < 1 else -0.004)
    return Frame(z, frame.shift + 0.2, frame.stretch, frame.nerve, False, frame.noise)


def render(tissue: Tissue, frame: Frame) -> Picture:
    """One frame, uint8 (420, 580)."""
    anatomy = tissue.anatomy
    field = tissue.fields_at(frame.z)
    echo = _echo(anatomy, field, frame)
    # Fascia is half a mirror and half a dense sheet of scatterers: its lines are speckled too.
    amplitude = amplitude_of(echo.strength) + echo.mirror * np.float32(0.5)
    envelope = _envelope(_between(tissue.scatterers, frame.z), amplitude)
    envelope += _blur(echo.mirror, 0.7, 2.6) * np.float32(0.4)
    decibel = decibel_of(envelope) + field["shade"] * np.float32(2.0)
    top = np.percentile(decibel[:HEIGHT:3, ::3], anatomy.top)
    bright = np.maximum((decibel - np.float32(top)) / np.float32(RANGE) + 1, 0)
    grey = grey_of(anatomy.gamma)(_blur(bright, 0.5, 1.0))
    return _decorate(np.rint(_to_frame(grey, frame)).astype(np.uint8, order="C"))


def _to_frame(canvas: Array, frame: Frame) -> Array:
    """The frame (420, 580) of a canvas. The skin stays at the probe: pressure acts from row 0."""
    rows = resampled(canvas, np.arange(HEIGHT) / frame.stretch, linear)
    columns = (np.arange(WIDTH) + MARGIN - frame.shift) / STEP
    return resampled(rows.T, columns, linear).T


def _decorate(picture: Picture) -> Picture:
    """The machine's own marks: a black column and the outline of an arrow at the top."""
    cv2.polylines(picture, [np.array([[294, 0], [303, 12], [312, 0]], np.int32)], False, 0)
    picture[:, 0] = 0
    return picture


def _echo(anatomy: Anatomy, field: dict[str, Array], frame: Frame) -> Echo:
    z = frame.z
    rows, _ = _grid()
    y, x = _bent(field)
    texture = field["patch"] * 5 + field["fibre"] * np.float32(anatomy.grain)
    echo = Echo(y, x, texture - 31 - rows / 80, np.zeros_like(texture))
    for muscle in _muscles(anatomy.nerve(z), anatomy.fat):
        _add_muscle(echo, muscle, texture * 0.7 + np.float32(anatomy.muscle), field["gleam"])
    _add_fat(echo, anatomy.fat, field["fibre"])
    _add_sheets(echo, anatomy, field)
    _add_bone(echo, anatomy.bone, field["gleam"])
    for blob in reversed(anatomy.blobs):
        _add_blob(echo, blob, z)
    _add_nerve(echo, anatomy, frame, field)
    _add_skin(echo, rows)
    return echo


def _bent(field: dict[str, Array]) -> tuple[Array, Array]:
    """Where in the straight anatomy every pixel of the canvas lies."""
    rows, columns = _grid()
    return rows + field["bend"] * np.clip(rows / 60, 0, 1) * 10, columns + field["sway"] * 16


def _muscles(nerve: Ellipse, fat: float) -> list[Ellipse]:
    """Sternocleidomastoid above; anterior and middle scalene on either side of the gap."""
    row, column = nerve.row, nerve.column
    thick = max(8.0, 0.5 * (row - 0.8 * nerve.along - fat))
    return [
        Ellipse(fat + thick + 2, column - 110, 330, thick, -0.02),
        Ellipse(row + 42, column - 142, 108, 44, 0.28),
        Ellipse(row + 62, column + 118, 122, 48, -0.20),
    ]


def _add_muscle(echo: Echo, muscle: Ellipse, level: Array, gleam: Array) -> None:
    u, v = muscle.local(echo.y, echo.x)
    radius = length(u, v)
    distance = (radius - 1) * np.float32(muscle.across)
    echo.fill(sigmoid(distance * -0.5), level)
    # Fascia shines where it faces the probe.
    facing = np.abs(v) / (radius + np.float32(0.05))
    bright = np.clip(gleam + 0.5, 0.1, 1.5)
    echo.mirror += line(distance, 2.3) * facing**2 * bright * np.float32(0.5)


def _add_fat(echo: Echo, depth: float, fibre: Array) -> None:
    echo.fill(sigmoid((depth - echo.y) * 0.6), fibre * 3.5 - 25)
    echo.mirror += line(echo.y - depth, 2.0) * np.float32(0.6)


def _add_sheets(echo: Echo, anatomy: Anatomy, field: dict[str, Array]) -> None:
    """Fascia between and inside the muscles: level lines of a bent depth, bright in stretches."""
    gleam = field["gleam"]
    for name, sign, period, bend, width, strength in (
        ("sheets", 1, anatomy.period, 0.6, 1.9, 0.65),
        ("septa", -1, anatomy.period / 3, 0.6, 1.1, 0.12),
    ):
        # In 1024ths the sums of the gradient are exact.
        phase = np.rint((echo.y / np.float32(period) + field[name] * np.float32(bend)) * 1024)
        phase /= 1024
        slope_y = cv2.Sobel(phase, -1, 0, 1, scale=1 / 8)
        slope_x = cv2.Sobel(phase, -1, 1, 0, scale=1 / 8 / STEP)
        steep = length(slope_x, slope_y) + np.float32(1e-4)
        distance = (phase - np.rint(phase)) / steep
        facing = np.abs(slope_y) / steep
        bright = np.clip(gleam * sign - 0.3, 0, 1.3)
        sheet = line(distance / (bright + np.float32(0.4)), width)
        echo.mirror += sheet * facing * facing**2 * bright * np.float32(strength)


def _add_bone(echo: Echo, depth: float, gleam: Array) -> None:
    """Transverse processes: a bright line in stretches, a shadow under it."""
    there = np.clip(gleam[int(min(depth, ROWS - 1))] + 0.2, 0, 1)[None, :]
    echo.strength -= sigmoid((echo.y - depth - 8) / 6) * there * 12
    echo.mirror += line(echo.y - depth, 3.2) * there * np.float32(1.2)


def _add_blob(echo: Echo, blob: Blob, z: float) -> None:
    there = blob.there(z)
    away = blob.away(echo.y, echo.x, z)
    facing = np.abs(echo.y - blob.row(z)) / (away + 1)
    distance = away - blob.radius
    echo.fill(sigmoid(distance * -0.8) * there, blob.echo)
    echo.mirror *= 1 - sigmoid(distance * -0.8) * there
    echo.mirror += line(distance - 2, 1.8) * facing**2 * np.float32(0.5 * there)


def _add_nerve(echo: Echo, anatomy: Anatomy, frame: Frame, field: dict[str, Array]) -> None:
    """Bright stroma with dark roots in bright rims; without a nerve the gap is merely fatty."""
    nerve = anatomy.nerve(frame.z)
    rows, columns = _grid()
    wry = field["gleam"] * np.float32(5), field["patch"] * np.float32(5)
    u, v = nerve.local(rows + wry[0], columns + wry[1])
    inside = sigmoid((1 - length(u, v)) * np.float32(nerve.across / 3))
    patchy = np.clip(field["patch"] + 0.7, 0.3, 1.5)
    echo.mirror *= 1 - inside * (0.4 + 0.5 * frame.nerve)
    echo.fill(inside * (0.45 + 0.5 * frame.nerve), field["fibre"] * 4 + patchy * 2 - 23.5)
    for root in anatomy.roots:
        du, dv = (u - root.along) * nerve.along, (v - root.across) * nerve.across
        away = length(du, dv)
        distance = away - np.float32(root.radius)
        echo.fill(sigmoid(distance * -0.9) * frame.nerve, field["fibre"] * 3 - 34)
        facing = np.abs(rows - _root_row(nerve, root)) / (away + 1)
        rim = line(distance - 2, 2.0) * (facing**2 * 0.8 + 0.2) * patchy
        echo.mirror += rim * np.float32(0.5 * frame.nerve)


def _root_row(nerve: Ellipse, root: Root) -> float:
    along, across = root.along * nerve.along, root.across * nerve.across
    return nerve.row + along * math.sin(nerve.angle) + across * math.cos(nerve.angle)


def _add_skin(echo: Echo, rows: Array) -> None:
    echo.fill(sigmoid((7 - rows) * 1.2), -25)
    for depth, strength in ((8.0, 0.5), (18.0, 0.2)):
        echo.mirror += line(rows - depth, 1.8) * np.float32(strength)


def _envelope(scatterers: Array, amplitude: Array) -> Array:
    """Mean magnitude over the looks; the beam widens with depth, its power is kept."""
    deep = np.clip((_grid()[0] - 90) / 330, 0, 1)
    near_gain = 2 * math.sqrt(math.pi * NEAR[0] * NEAR[1] / STEP) / SCATTER_SD
    far_gain = deep * np.float32(math.sqrt(FAR[0] * FAR[1] / (NEAR[0] * NEAR[1])))
    total = np.zeros_like(amplitude)
    for look in range(LOOKS):
        parts = []
        for noise in scatterers[2 * look : 2 * look + 2]:
            near = _blur(noise * amplitude, *NEAR)
            far = _blur(near, *(math.sqrt(f**2 - n**2) for f, n in zip(FAR, NEAR, strict=True)))
            parts.append(near * (1 - deep) + far * far_gain)
        total += length(*parts)
    speckled = total * np.float32(near_gain / LOOKS)
    # The machines filter their speckle: a part of the picture is the mean (Rayleigh's) without it.
    smooth = _blur(amplitude, 0.8, 2.4) * np.float32(0.3 * math.sqrt(math.pi / 2))
    return speckled * np.float32(0.7) + smooth


def _blur(picture: Array, axial: float, lateral: float) -> Array:
    """Of a canvas; sigmas in pixels of the frame."""
    return blurred(picture, axial, lateral / STEP)


def _masks(tissue: Tissue, frame: Frame, vessel: bool) -> dict[str, Picture]:
    """Masks 0/255 (420, 580) of the classes that are there, as an annotator draws them."""
    masks = {}
    if frame.labelled:
        masks["nerve"] = _mask(outline(tissue.anatomy.nerve(frame.z), frame, frame.noise[0]))
    if vessel and (seen := _vessel(tissue, frame)):
        masks["vessel"] = _mask(outline(seen, frame, frame.noise[1]))
    return masks


def _true_mask(tissue: Tissue, frame: Frame) -> Picture:
    """0/1; as nobody draws it, without errors."""
    masks = _masks(tissue, replace(frame, noise=np.zeros_like(frame.noise)), vessel=False)
    return masks["nerve"] // 255 if masks else np.zeros((HEIGHT, WIDTH), dtype=np.uint8)


def _mask(points: Array) -> Picture:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, shift=4)
    return mask


def _vessel(tissue: Tissue, frame: Frame) -> Ellipse | None:
    """The ellipse of the great vessel's own moments, bent as it is drawn, wall included.

    None unless it is plainly seen: mostly there, whole inside the frame, and above the bone, whose
    shadow is as dark as blood.
    """
    blob, z = tissue.anatomy.blobs[0], frame.z
    radius = blob.radius + WALL
    if blob.there(z) < PLAIN or blob.row(z) + radius > tissue.anatomy.bone:
        return None
    y, x = _bent(tissue.fields_at(z, ("bend", "sway")))
    rows, steps = np.nonzero(blob.away(y, x, z) < radius)
    columns = steps * STEP - MARGIN
    left, right = columns.min() + frame.shift, columns.max() + frame.shift
    whole = left > EDGE and right < WIDTH - EDGE and rows.max() * frame.stretch < HEIGHT - EDGE
    return _ellipse_of(rows, columns) if whole else None


def _ellipse_of(rows: Array, columns: Array) -> Ellipse:
    """The ellipse with the first and second moments of a set of pixels."""
    row, column = rows.sum() / len(rows), columns.sum() / len(rows)
    # Sums of whole numbers: exact.
    yy = (rows * rows).sum() / len(rows) - row**2
    xx = (columns * columns).sum() / len(rows) - column**2
    xy = (rows * columns).sum() / len(rows) - row * column
    middle, half = (xx + yy) / 2, math.hypot((xx - yy) / 2, xy)
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    return Ellipse(
        row, column, 2 * math.sqrt(middle + half), 2 * math.sqrt(max(middle - half, 0)), angle
    )


def outline(shape: Ellipse, frame: Frame, noise: Array) -> Array:
    """Points (72, 2) as x, y of the frame; `noise` (12,) of zeros is the shape itself."""
    grown = Ellipse(
        shape.row + 2.2 * noise[0],
        shape.column + 2.2 * noise[1],
        shape.along * math.exp(0.06 * noise[2]),
        shape.across * math.exp(0.06 * noise[3]),
        shape.angle + 0.07 * noise[4],
    )
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    waves = [noise[2 + k] * np.cos(k * t) + noise[5 + k] * np.sin(k * t) for k in (3, 4, 5)]
    points = grown.outline(1 + 0.036 * np.clip(np.sum(waves, axis=0), -3, 3))
    return np.asarray(points * (1, frame.stretch) + (frame.shift, 0))


def _between(planes: Array, z: float) -> Array:
    """Blend of two independent planes that keeps their variance."""
    k = int(z)
    angle = (z - k) * math.pi / 2
    return planes[k] * np.float32(math.cos(angle)) + planes[k + 1] * np.float32(math.sin(angle))


@cache
def _grid() -> tuple[Array, Array]:
    """Rows and columns (ROWS, COLUMNS) of the canvas, in pixels of the frame."""
    rows = np.arange(ROWS, dtype=np.float32)[:, None].repeat(COLUMNS, axis=1)
    columns = (np.arange(COLUMNS, dtype=np.float32) * STEP - MARGIN)[None].repeat(ROWS, axis=0)
    return rows, columns


def _spread(knots: Array) -> Array:
    """A smooth field (ROWS, COLUMNS) through coarse knots."""
    rows, columns = knots.shape
    wide = resampled(knots.T, (np.arange(COLUMNS) + 0.5) * (columns / COLUMNS) - 0.5, cubic)
    return resampled(wide.T, (np.arange(ROWS) + 0.5) * (rows / ROWS) - 0.5, cubic)
