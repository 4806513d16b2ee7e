"""Settings -> a data set in a folder, the phantom of Kaggle's Ultrasound Nerve Segmentation.

FOLDER holds the data set in one of the layouts that tools/phantom/formats.py describes, and truth/,
which a competition keeps.
"""

import json
import multiprocessing
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np

from lib import rle
from lib.data.phantom import MARKER, TEXT
from lib.runtime.cores import usable_cores
from lib.runtime.errors import InputError
from lib.runtime.progress import progress
from tools.phantom.canvas import Picture
from tools.phantom.files import opened
from tools.phantom.formats import FORMATS, File, Labels, Scan, second_reader, truth
from tools.phantom.masks import masks_of, second_masks, true_mask
from tools.phantom.plan import Job, Settings, plan
from tools.phantom.render import render
from tools.phantom.sweep import sweep
from tools.phantom.tissue import new_tissue


class FolderError(InputError):
    """The folder holds something other than this phantom data set."""


Made = tuple[list[File], Labels]
SECOND = 2  # behind a subject's seed: that of the second reader


def generate(
    folder: Path,
    subjects: int = Settings.subjects,
    frames: int = Settings.frames,
    test_subjects: int = Settings.test_subjects,
    test_frames: int = Settings.test_frames,
    seed: int = Settings.seed,
    vessel: bool = Settings.vessel,
    format: str = Settings.format,
    second_reader: bool = Settings.second_reader,
    workers: int | None = None,
) -> None:
    """Fill `folder`; `frames` are per subject, `workers` processes (None: one a core).

    `vessel` adds a mask of the great vessel to every frame that shows it; the pictures stay as
    they are. `second_reader` writes the labels of another person too, a table in the folder, in no
    zip. The files are the same for any number of workers. Where this call has filled the
    folder before nothing happens; where it was cut off it starts again. FolderError for any other
    content, InputError for settings that do not go together.
    """
    settings = Settings(
        subjects, frames, test_subjects, test_frames, seed, vessel, format, second_reader
    )
    folder = Path(folder)
    if _is_complete(folder, settings):
        if not (folder / MARKER).exists():  # made before there was the mark
            _mark(folder)
        print(f"{folder}: this phantom data set is there already, nothing to do")
        return
    _write_settings(folder, settings, complete=False)
    _mark(folder)
    _write_all(folder, settings, workers or usable_cores())
    _write_settings(folder, settings, complete=True)
    print(f"{folder}: {subjects * frames} train and {test_subjects * test_frames} test frames")


def pictures(count: int, seed: int) -> list[Picture]:
    """Frames of one subject, uint8 (420, 580); about half of them show a nerve."""
    rng = np.random.default_rng([seed, 3, 0])
    tissue = new_tissue(rng)
    frames, _ = sweep(rng, count, 0.5, 0)
    with _one_thread():
        return [render(tissue, frame) for frame in frames]


def clip(count: int, seed: int, slower: float) -> list[tuple[Picture, Picture]]:
    """Frames of one subject and their true masks 0/1, both uint8 (420, 580), as a scanner films it.

    A data set's frames are far apart; here the probe moves so many times slower. The masks are the
    nerve's own outline, without an annotator's errors; about half of them are not empty.
    """
    rng = np.random.default_rng([seed, 3, 1])
    tissue = new_tissue(rng)
    frames, _ = sweep(rng, count, 0.5, 0, slower)
    with _one_thread():
        return [(render(tissue, frame), true_mask(tissue, frame)) for frame in frames]


def _is_complete(folder: Path, settings: Settings) -> bool:
    path = folder / "truth" / "settings.json"
    if not any(found.is_file() for found in folder.rglob("*")):
        return False
    if not path.exists():
        raise FolderError(f"{folder} holds other files: name a new or an empty folder")
    found = json.loads(path.read_text())
    complete = bool(found.pop("complete"))
    if {"second_reader": False} | found != asdict(settings):  # older ones had no such setting
        raise FolderError(
            f"{folder} holds a phantom data set made with other settings ({found}): "
            "name a new folder, or delete this one"
        )
    return complete


def _write_settings(folder: Path, settings: Settings, complete: bool) -> None:
    text = json.dumps(asdict(settings) | {"complete": complete}, indent=2) + "\n"
    with opened(folder, pack="") as write:
        write("truth/settings.json", text.encode())


def _mark(folder: Path) -> None:
    with opened(folder, pack="") as write:
        write(MARKER, TEXT.encode())


def _write_all(folder: Path, settings: Settings, workers: int) -> None:
    """The tables come after the pictures: without them no reader takes the folder for a set."""
    kind, jobs, labels = FORMATS[settings.format], plan(settings), []
    with opened(folder, kind.pack) as write:
        made = _make_all(jobs, workers)
        for files, label in progress(made, "phantom", len(jobs), "subjects"):
            labels.append(label)
            for file in files:
                write(*file)
        for file in kind.tables(labels, settings.classes):
            write(*file)
        if kind.pack:
            write(MARKER, TEXT.encode())
    with opened(folder, pack="") as write:
        for file in [*second_reader(labels, kind), *truth(labels, kind, settings.classes)]:
            write(*file)


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
    tissue = new_tissue(rng)
    frames, twins = sweep(rng, len(job.names), job.share, job.twins)
    pictures, masks = {}, {}
    for name, frame in zip(job.names, frames, strict=True):
        pictures[name] = render(tissue, frame)
        masks[name] = masks_of(tissue, frame, job.vessel)
    scan = Scan(job.subject, job.test, job.seed[0], pictures, masks)
    second = {}
    if job.second_reader:
        other = np.random.default_rng([*job.seed, SECOND])  # pictures stay as they are without
        drawn = second_masks(tissue, frames, job.vessel, other)
        second = dict(zip(job.names, drawn, strict=True))
    pairs = tuple((job.names[a], job.names[b]) for a, b in twins)
    files = list(FORMATS[job.format].pictures(scan))
    return files, Labels(job.subject, job.test, _encoded(masks), pairs, _encoded(second))


def _encoded(masks: dict[str, dict[str, Picture]]) -> dict[str, dict[str, str]]:
    return {
        name: {kind: rle.encode(mask) for kind, mask in drawn.items()}
        for name, drawn in masks.items()
    }
