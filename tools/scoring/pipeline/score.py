"""Ultrasound images -> masks, by the networks and the rule beside this file.

    python score.py PATH [PATH ...] [--out DIR] [--overlay] [--csv FILE] [--quality FILE]
                    [--average SHARE]
    python score.py --self-test

A PATH is an image, a video, a DICOM file or a folder of such (reading.py reads them). DIR/NAME.png
is the mask, 0 or 255, at the image's own size, DIR/CLASS/NAME.png where there are several classes
(writing.py writes it). Frame k of a video or a cine loop is the image NAME_k. Started again it goes
on: a mask holds a hash of its image and of all that made it, and one that has the right hash is
kept. Exit status 1: something could not be used.

Nothing is sent anywhere, and of a DICOM file only what its pixels need is read.
"""

import argparse
import hashlib
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
if __package__:
    from . import engines, reading, trust, writing
else:
    sys.path.insert(0, str(HERE))  # python -I leaves it out
    import engines  # type: ignore[import-not-found, no-redef]
    import reading  # type: ignore[import-not-found, no-redef]
    import trust  # type: ignore[import-not-found, no-redef]
    import writing  # type: ignore[import-not-found, no-redef]

Array = np.ndarray[Any, np.dtype[Any]]


class Scorer:
    """The networks' mean and the rule.

    In a clip `average` is the share, 0 to below 1, that the frame before has in an exponential
    moving average of what the networks tell; `start_clip` forgets that frame.
    """

    def __init__(self, folder: Path, engine: str, average: float = 0) -> None:
        about: dict[str, Any] = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        self.rules: dict[str, dict[str, Any]] = about["rules"]
        self.bits, self.head = int(about["image_bits"]), bool(about["presence_head"])
        self.quality: dict[str, Any] = about["quality"]
        self._size = tuple(about["network_size"])
        self.engine, self._run = engines.started(folder / "model.onnx", engine)
        self.average, self._before = average, list[Array]()
        contents = [(folder / name).read_bytes() for name in ("model.onnx", "decision.json")]
        way = f"{self.engine} average {average}" if average else self.engine
        self._sha = hashlib.sha256(b"".join([*contents, way.encode()])).hexdigest()

    def start_clip(self) -> None:
        self._before = []

    def sha_with(self, image: reading.Input) -> str:
        """Of an image and of all that makes its masks."""
        return hashlib.sha256(f"{self._sha} {image.origin}".encode()).hexdigest()

    def probabilities(self, grey: Array) -> list[Array]:
        """uint8 (height, width) -> float32 (classes, rows, columns) at the networks' size, 0..1;
        then the presence (classes,) that they tell, where they have a head for it; then, where it
        is known, how many times as far as usual the image is from those of the training."""
        smaller = self._size[0] <= grey.shape[0] and self._size[1] <= grey.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        small = cv2.resize(grey, self._size[::-1], interpolation=how)
        answer = self._run(np.ascontiguousarray(small)[None, None])
        return [output[0] for output in answer[: 1 + self.head + (self.steps is not None)]]

    @property
    def steps(self) -> list[float] | None:
        """Percentiles of unlikeness, where it is known."""
        found: list[float] | None = self.quality["unlike"]
        return found

    def masks(self, grey: Array) -> dict[str, Array]:
        """uint8 (height, width) -> a mask 0/1 of its size for each class.

        With an average the frames of a clip must come one by one, each once.
        """
        return {name: mask for name, (mask, _) in self.judged(grey).items()}

    def judged(self, grey: Array) -> dict[str, tuple[Array, trust.Trust]]:
        """`masks`, and how far each can be trusted."""
        found = self.probabilities(grey)
        if self.average and self._before:
            both = zip(self._before, found, strict=True)
            found = [self.average * before + (1 - self.average) * now for before, now in both]
        self._before = found
        judged = {}
        for k, (name, rule) in enumerate(self.rules.items()):
            plane = cv2.resize(found[0][k], grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
            levels = np.rint(plane * 255).astype(np.uint8)
            told = float(found[1][k]) if self.head else float(levels.max()) / 255
            presence = against_gate(levels, told, rule)
            mask = decide(levels, presence, rule)
            judged[name] = mask, self._trust(name, levels, mask, presence, found[-1])
        return judged

    def _trust(
        self, name: str, levels: Array, mask: Array, presence: float, times: Array
    ) -> trust.Trust:
        knots = self.quality["expected"][name] | {"metric": self.quality["metric"]}
        unlike = None if self.steps is None else trust.unlike(float(times), self.steps)
        return trust.Trust(trust.expected(levels, mask, presence, knots), unlike)


def against_gate(levels: Array, presence: float, rule: dict[str, Any]) -> float:
    """Probability uint8, 0..255 = 0..1, and the networks' own presence -> what the gate is held
    against."""
    wanted = max(1, round(rule["top_share"] * levels.size))
    counts = cv2.calcHist([levels], [0], None, [256], [0, 256]).ravel()
    # So many of the wanted pixels have the level 255, 254 or more, ..., 1 or more.
    reached = np.minimum(counts[:0:-1].cumsum(dtype=np.int64), wanted)
    evidence = int(reached.sum()) / (255 * wanted)
    return float(rule["head_weight"] * presence + (1 - rule["head_weight"]) * evidence)


def decide(levels: Array, presence: float, rule: dict[str, Any]) -> Array:
    """Probability uint8, 0..255 = 0..1 -> mask uint8 0/1. The "about" of decision.json has it in
    words; `presence` is that of `against_gate`."""
    nothing = np.zeros_like(levels)
    if presence < rule["gate"]:
        return nothing
    mask = (levels > math.floor(rule["threshold"] * 255)).astype(np.uint8)
    if rule["never_empty"] and not mask.any():
        mask = (levels > levels.max() // 2).astype(np.uint8)
    if np.count_nonzero(mask) < rule["least_area"] * mask.size or not mask.any():
        return nothing
    left, top, width, height = cv2.boundingRect(mask)
    box = mask[top : top + height, left : left + width]
    if rule["components"]:
        _, labels, about, _ = cv2.connectedComponentsWithStats(box, connectivity=8)
        largest = np.argsort(-about[1:, cv2.CC_STAT_AREA], kind="stable")[: rule["components"]]
        box[:] = np.isin(labels, largest + 1)
    if rule["fill_holes"]:
        _, labels = cv2.connectedComponents(np.pad(1 - box, 1, constant_values=1), connectivity=4)
        box[:] = labels[1:-1, 1:-1] != labels[0, 0]
    return mask


class Work:
    """Images by their files: what was made, what was there before, what could not be used."""

    def __init__(self, scorer: Scorer, output: writing.Output, bits: int) -> None:
        self._scorer, self._output, self._bits = scorer, output, bits
        self._origins: dict[str, str] = {}
        self.names: dict[str, None] = {}  # of the images that have masks now, in their order
        self.made, self._start = 0, time.monotonic()
        self.faults: dict[str, str] = {}

    def add(self, path: Path) -> None:
        """Masks of the image in the file, or of all its frames."""
        try:
            self._scorer.start_clip()
            anew = self._scorer.average > 0 and not self._is_done(path)
            for image in reading.images_in(path, self._bits):
                try:
                    self._add_image(image, anew)
                except reading.Unusable as fault:
                    self.faults[f"{path}, {image.name}" if image.clip else str(path)] = str(fault)
        except reading.Unusable as fault:
            self.faults[str(path)] = str(fault)

    def _add_image(self, image: reading.Input, anew: bool) -> None:
        if self._origins.setdefault(image.name.casefold(), image.origin) != image.origin:
            raise reading.Unusable(f"another image is called {image.name} too: rename one")
        if self._scorer.average and not image.clip:
            raise reading.Unusable("is a single image, and --average is for clips: leave it out")
        sha = self._scorer.sha_with(image)
        if anew or not self._output.has(image.name, sha):
            grey = image.grey()
            masks, told = zip(*self._scorer.judged(grey).values(), strict=True)
            self._output.write(image.name, sha, grey, masks, list(map(trust.text_of, told)))
            self.made += 1
        self.names[image.name] = None
        if sys.stderr.isatty():
            speed = self.made / max(time.monotonic() - self._start, 1e-9)
            words = f"\r{len(self.names)} images, {speed:.1f} a second "
            print(words, end="", file=sys.stderr, flush=True)

    def _is_done(self, path: Path) -> bool:
        """Whether all masks of a file are there. With an average they are made together or not at
        all, since each hangs on all frames before its own."""
        try:
            images = reading.images_in(path, self._bits)
            return all(self._output.has(i.name, self._scorer.sha_with(i)) for i in images)
        except reading.Unusable:
            return False


def self_test(engine: str) -> bool:
    """Whether files, probabilities and masks of the samples are those they were made with."""
    if changed := changed_files():
        print(f"FAILED: missing or changed since they were written: {', '.join(changed)}")
        return False
    scorer, same = Scorer(HERE, engine), True
    for path in sorted((HERE / "samples").glob("*.npz")):
        expected = np.load(path)
        grey = reading.read_picture(path.with_suffix(".png"), 8)
        found = scorer.probabilities(grey)
        apart = float(np.abs(found[0] - expected["probabilities"]).max())
        masks = np.stack(list(scorer.masks(grey).values()))
        pixels = np.count_nonzero(masks != expected["masks"])
        times = expected["unlike"]
        same = same and (not len(times) or bool(np.isclose(found[-1], times, rtol=1e-2).all()))
        print(f"{path.stem}: probabilities differ by at most {apart:.1e}, masks in {pixels} pixels")
        same = same and apart <= 1e-3 and not pixels
    print(f"{'passed' if same else 'FAILED'}, with {scorer.engine}")
    return same


def changed_files() -> list[str]:
    """Those that SHA256SUMS has otherwise."""
    lines = (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {name: sha for sha, name in (line.split("  ", 1) for line in lines)}
    there = {name: (HERE / name).read_bytes() for name in sums if (HERE / name).is_file()}
    found = {name: hashlib.sha256(content).hexdigest() for name, content in there.items()}
    return [name for name in sums if found.get(name) != sums[name]]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("paths", type=Path, nargs="*", metavar="PATH")
    add("--out", type=Path, default=Path("masks"), help="folder of the masks")
    add("--overlay", action="store_true", help="DIR/overlays/: mask on image")
    add("--csv", type=Path, help="a table of run lengths of all images")
    add("--quality", type=Path, help="a table of how far the mask of each image can be trusted")
    several = "bits used in files of more than 8"
    add("--bits", type=int, choices=range(8, 17), metavar="8..16", help=several)
    steady = "in clips: the share of the frame before in a moving average of the probabilities"
    add("--average", type=float, default=0, metavar="SHARE", help=steady)
    add("--engine", choices=["auto", *engines.ENGINES], default="auto")
    add("--self-test", action="store_true", help="try the samples")
    given = parser.parse_args()
    if not given.paths and not given.self_test:
        parser.error("name an image, a video, a DICOM file or a folder, or --self-test")
    if given.self_test and given.engine == "openvino-bf16":
        parser.error("--self-test holds masks to the bit: bfloat16 is not for it")
    if not 0 <= given.average < 1:
        parser.error(f"--average {given.average}: from 0 to below 1 was expected")
    if given.self_test:
        return 0 if self_test(given.engine) else 1
    scorer = Scorer(HERE, given.engine, given.average)
    output = writing.Output(given.out, list(scorer.rules), given.overlay)
    work = Work(scorer, output, given.bits or scorer.bits)
    files = [file for path in given.paths for file in reading.files_of(path)]
    if note := reading.screen_note(files):
        print(note)
    for file in files:
        work.add(file)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if given.csv:
        writing.write_whole(given.csv, output.table(work.names))
    if given.quality:
        columns = [f"expected_{scorer.quality['metric'].lower()}", "unlike"]
        writing.write_whole(given.quality, output.trust_table(work.names, columns))
    kept = len(work.names) - work.made
    print(f"{given.out}: masks of {work.made} images, and {kept} that were there before")
    for name, fault in work.faults.items():
        print(f"CANNOT BE USED: {name}: {fault}", file=sys.stderr)
    return 1 if work.faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Start the same command again to go on: finished masks are kept.")
