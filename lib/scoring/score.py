"""Ultrasound images -> masks, by the networks and the rule beside this file.

    python score.py PATH [PATH ...] [--out DIR] [--overlay] [--csv FILE]
    python score.py --self-test

A PATH is an image, a video, a DICOM file or a folder of such. DIR/NAME.png is the mask, 0 or 255,
at the image's own size; DIR/CLASS/NAME.png where there are several classes. Frame k of a video or
a cine loop is the image NAME_k. Started again it goes on: a mask holds a hash of its image and of
the networks, and one that has the right hash is kept. Exit status 1: something could not be used.

Nothing is sent anywhere, and of a DICOM file only what its pixels need is read.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
DEFAULT_OUT = Path("masks")
PICTURES = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm"}
VIDEOS, DICOMS = {".mp4", ".avi", ".mov"}, {".dcm", ".dicom"}
JPEG = b"\xff\xd8"
GRID = (64, 96)  # rows and columns of the shapes in mask_pca.npz
COLOURS = [(0, 255, 255), (255, 128, 0), (0, 255, 0), (255, 0, 255)]  # BGR of the outlines
HASH = b"Source\0"  # the keyword of the PNG text that holds a mask's hash

Array = np.ndarray[Any, np.dtype[Any]]
Run = Callable[[Array], list[Array]]


class Unusable(Exception):
    """A file that cannot be used; the message says why."""


class Image(NamedTuple):
    name: str
    origin: str  # a hash of what it was made from
    grey: Callable[[], Array]  # reads it: uint8 (height, width)


def images_in(path: Path, bits: int) -> Iterator[Image]:
    """The image of a file, or each frame of it; Unusable where it holds none."""
    if not path.is_file():
        what = "a folder without images" if path.is_dir() else "there is no such file or folder"
        raise Unusable(what)
    with path.open("rb") as file:
        origin = hashlib.file_digest(file, "sha256").hexdigest()
    if path.suffix.lower() in VIDEOS:
        yield from video_frames(path, origin)
    elif is_dicom(path):
        yield from dicom_frames(path, origin)
    else:
        yield Image(path.stem, f"{origin} {bits}", partial(read_file, path, bits))


def read_file(path: Path, bits: int) -> Array:
    return read_picture(path.read_bytes(), bits)


def read_picture(content: bytes, bits: int) -> Array:
    """Grey uint8 of a file; `bits` are those that files of more than 8 use."""
    require_end(content)
    data = np.frombuffer(content, np.uint8)
    try:
        found, pages = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        found, pages = False, ()
    if not found:
        raise Unusable("not an image of a known format, or damaged")
    if len(pages) > 1:
        raise Unusable(f"{len(pages)} pictures in one file: save each as its own")
    if content.startswith(JPEG):
        shown = cv2.imdecode(data, cv2.IMREAD_COLOR)
        stored = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if not np.array_equal(np.asarray(shown), np.asarray(stored)):
            raise Unusable("is stored rotated (EXIF orientation): save it upright")
    grey = to_grey(pages[0], bits)
    # OpenCV turns such a TIFF round where it has 8 bits, and not where it has 16.
    white_is_zero = pages[0].dtype != np.uint8 and tiff_tags(content).get(262) == [0]
    return 255 - grey if white_is_zero else grey


def to_grey(pixels: Array, bits: int) -> Array:
    """Decoded pixels (height, width[, B G R [A]]) -> uint8: luminance (ITU-R 601), 8 bits."""
    if pixels.ndim == 3:
        if pixels.dtype != np.uint8:
            raise Unusable("has 16 bits a colour: save it as grey, or with 8")
        if pixels.shape[2] == 4 and (pixels[..., 3] < 255).any():
            raise Unusable("has transparent pixels: save it without")
        return luminance(pixels[..., 2::-1])
    if pixels.dtype == np.uint8:
        return pixels
    low, high = pixels.min(), pixels.max()
    if pixels.dtype.kind not in "iu" or low < 0 or high >= 2**16:
        raise Unusable(f"holds values of {low} to {high}: save it as grey of 8 or 16 bits")
    if high >= 2**bits:
        raise Unusable(f"holds values up to {high}: --bits {bits} is too few")
    return to_8_bits(pixels, bits)


def luminance(rgb: Array) -> Array:
    """The sums of ITU-R 601 in 65536ths, as the networks' training images had them."""
    parts = rgb.astype(np.uint32) * np.array([19595, 38470, 7471], np.uint32)
    return ((parts.sum(-1) + 0x8000) >> 16).astype(np.uint8)


def to_8_bits(values: Array, bits: int) -> Array:
    scaled = values if bits == 8 else np.rint(values * (255 / (2**bits - 1)))
    return scaled.astype(np.uint8)


def require_end(content: bytes) -> None:
    """Unusable for a file that is cut off, where OpenCV would fill the rest with grey."""
    whole = True
    if content.startswith(JPEG):
        whole = content.rstrip(b"\0\r\n ").endswith(b"\xff\xd9")
    elif content.startswith(b"\x89PNG"):
        whole = png_chunks(content)[-1:] == [b"IEND"]
    elif content.startswith(b"BM"):
        whole = len(content) >= int.from_bytes(content[2:6], "little")
    elif content.startswith(b"RIFF"):
        whole = len(content) >= int.from_bytes(content[4:8], "little") + 8
    elif content[:2] in (b"II", b"MM"):
        tags = tiff_tags(content)
        ends = [a + n for a, n in zip(tags.get(273, []), tags.get(279, []), strict=False)]
        whole = bool(tags) and max(ends, default=0) <= len(content)
    if not whole:
        raise Unusable("damaged, or its end is missing")


def png_chunks(content: bytes) -> list[bytes]:
    """The kinds of the chunks, up to the first that is damaged."""
    kinds, at = [], 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4])
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4]):
            break
        kinds.append(content[at + 4 : at + 8])
        at = end + 4
    return kinds


def tiff_tags(content: bytes) -> dict[int, list[int]]:
    """The whole numbers of the first directory; none where it is outside of the file."""
    order = "<" if content[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(f"{order}I", content, 4)
        (count,) = struct.unpack_from(f"{order}H", content, start)
        tags = {}
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", content, at)
            if kind in (3, 4):
                letter, size = ("H", 2) if kind == 3 else ("I", 4)
                where = at + 8
                if values * size > 4:
                    (where,) = struct.unpack_from(f"{order}I", content, at + 8)
                tags[tag] = list(struct.unpack_from(f"{order}{values}{letter}", content, where))
        return tags
    except struct.error:
        return {}


def video_frames(path: Path, origin: str) -> Iterator[Image]:
    capture, number = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), 0
    told = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    try:
        while True:
            there, frame = capture.read()
            if not there:
                break
            number += 1
            grey = luminance(frame[..., ::-1])
            yield Image(f"{path.stem}_{number}", f"{origin} {number}", partial(np.asarray, grey))
    finally:
        capture.release()
    if not number:
        raise Unusable("not a video that can be read: convert it to another .mp4")
    if number < told:
        raise Unusable(f"only {number} of its {told} frames can be read: convert it again")


def is_dicom(path: Path) -> bool:
    """By its suffix; scanners often give none, and the letters at byte 128 tell then."""
    if path.suffix.lower() in DICOMS:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def dicom_frames(path: Path, origin: str) -> Iterator[Image]:
    try:
        import pydicom
    except ImportError:
        raise Unusable("DICOM needs one more package: python -m pip install pydicom") from None
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # it quotes values
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["NumberOfFrames"])
        count = int(header.get("NumberOfFrames") or 1)
    except Exception:  # what it raises has no common base; reading the pixels tells what is wrong
        count = 1
    for k in range(count):
        # A UID for a name ends in .digits, which is no suffix.
        stem = path.name if path.suffix[1:].isdigit() else path.stem
        name = stem if count == 1 else f"{stem}_{k + 1}"
        yield Image(name, f"{origin} {k}", partial(read_dicom, path, k))


def read_dicom(path: Path, frame: int) -> Array:
    from pydicom import Dataset
    from pydicom.pixels import apply_color_lut, pixel_array

    header = Dataset()
    try:
        pixels = pixel_array(str(path), index=frame, ds_out=header)
        kind = header.PhotometricInterpretation
        if kind == "PALETTE COLOR":
            pixels = apply_color_lut(pixels, header)
            pixels = (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
    except Exception as error:  # what it and its decoders raise has no common base
        reason = str(error).partition("\n")[0]
        raise Unusable(f"not a DICOM image that can be read ({reason})") from None
    if pixels.ndim == 3:
        return luminance(pixels)
    bits = int(header.BitsStored)
    values = pixels.astype(np.int64) + (2 ** (bits - 1) if header.PixelRepresentation else 0)
    grey = to_8_bits(values, bits)
    return 255 - grey if kind == "MONOCHROME1" else grey


def openvino(path: Path, precision: str = "f32") -> Run:
    """In float32 also on processors with bfloat16: the self-test holds the masks to the bit."""
    without_telemetry()
    from openvino import Core

    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    network = Core().compile_model(path, "CPU", settings)
    return lambda grey: list(network(grey).values())


def without_telemetry() -> None:
    """OpenVINO's package reports each import to Google Analytics, where it has the means."""
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]


def onnxruntime(path: Path) -> Run:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda grey: list(session.run(None, {"grey": grey}))


ENGINES: dict[str, Callable[[Path], Run]] = {
    "openvino": openvino,
    "onnxruntime": onnxruntime,
    "openvino-bf16": partial(openvino, precision="bf16"),
}


class Scorer:
    """The networks' mean and the rule."""

    def __init__(self, folder: Path, engine: str) -> None:
        about: dict[str, Any] = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        self.rules: dict[str, dict[str, Any]] = about["rules"]
        self.bits, self.head = int(about["image_bits"]), bool(about["presence_head"])
        self._size = tuple(about["network_size"])
        shapes = folder / "mask_pca.npz"
        self._shapes = dict(np.load(shapes)) if shapes.is_file() else {}
        self.engine, self._run = started(folder / "model.onnx", engine)
        parts = [(folder / name).read_bytes() for name in ("model.onnx", "decision.json")]
        self.sha = hashlib.sha256(b"".join([*parts, self.engine.encode()])).hexdigest()

    def probabilities(self, grey: Array) -> tuple[Array, Array | None]:
        """uint8 (height, width) -> float32 (classes, rows, columns) at the networks' size, 0..1,
        and the presence (classes,) that they tell, where they have a head for it."""
        smaller = self._size[0] <= grey.shape[0] and self._size[1] <= grey.shape[1]
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        small = cv2.resize(grey, self._size[::-1], interpolation=how)
        answer = self._run(np.ascontiguousarray(small)[None, None])
        return answer[0][0], answer[1][0] if self.head else None

    def masks(self, grey: Array) -> dict[str, Array]:
        """uint8 (height, width) -> a mask 0/1 of its size for each class."""
        planes, presence = self.probabilities(grey)
        found = {}
        for k, (name, rule) in enumerate(self.rules.items()):
            plane = cv2.resize(planes[k], grey.shape[::-1], interpolation=cv2.INTER_LINEAR)
            levels = np.rint(plane * 255).astype(np.uint8)
            told = float(levels.max()) / 255 if presence is None else float(presence[k])
            mask = decide(levels, told, rule)
            if rule["mask_pca"] and mask.any():
                parts = (self._shapes[f"{name}_{part}"] for part in ("mean", "components"))
                mask = nearest_shape(mask, *parts)
            found[name] = mask
        return found


def started(path: Path, engine: str) -> tuple[str, Run]:
    """The engine of that name; of "auto", the first that is installed."""
    for name in ENGINES if engine == "auto" else [engine]:
        try:
            return name, ENGINES[name](path)
        except ImportError:
            continue
    package = "-r requirements.txt" if engine == "auto" else engine.removesuffix("-bf16")
    sys.exit(f"The inference engine is not installed: python -m pip install {package}")


def decide(levels: Array, presence: float, rule: dict[str, Any]) -> Array:
    """Probability uint8, 0..255 = 0..1 -> mask uint8 0/1. The "about" of decision.json has it in
    words, but for mask_pca, which comes after."""
    nothing = np.zeros_like(levels)
    wanted = max(1, round(rule["top_share"] * levels.size))
    top = np.partition(levels.ravel(), levels.size - wanted)[levels.size - wanted :]
    evidence = int(top.sum(dtype=np.int64)) / (255 * wanted)
    if rule["head_weight"] * presence + (1 - rule["head_weight"]) * evidence < rule["gate"]:
        return nothing
    mask = (levels > math.floor(rule["threshold"] * 255)).astype(np.uint8)
    if rule["never_empty"] and not mask.any():
        mask = (levels > levels.max() // 2).astype(np.uint8)
    if np.count_nonzero(mask) < rule["least_area"] * mask.size or not mask.any():
        return nothing
    if rule["components"]:
        _, labels, about, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        largest = np.argsort(-about[1:, cv2.CC_STAT_AREA], kind="stable")[: rule["components"]]
        mask = np.isin(labels, largest + 1).astype(np.uint8)
    if rule["fill_holes"]:
        _, labels = cv2.connectedComponents(np.pad(1 - mask, 1, constant_values=1), connectivity=4)
        mask = (labels[1:-1, 1:-1] != labels[0, 0]).astype(np.uint8)
    return mask


def nearest_shape(mask: Array, mean: Array, components: Array) -> Array:
    """The mask that mean and components span next to it; itself where that leaves nothing."""
    small = cv2.resize(mask.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA)
    flat = mean + ((small.ravel() - mean) @ components.T) @ components
    near = cv2.resize(flat.reshape(GRID), mask.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0.5
    return near.astype(np.uint8) if near.any() else mask


def run_lengths(mask: Array) -> str:
    """`start length` pairs, from 1, down the columns; "" where all is zero."""
    pixels = np.concatenate([[0], mask.T.ravel() != 0, [0]])
    edges = np.flatnonzero(np.diff(pixels))
    edges[1::2] -= edges[::2]
    edges[::2] += 1
    return " ".join(map(str, edges.tolist()))


def write_whole(path: Path, content: bytes) -> None:
    """Written beside its place and renamed, so that it is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def png(pixels: Array, origin: str = "") -> bytes:
    """With the origin as a text, the chunk tEXt, before the last chunk (12 bytes)."""
    content = cv2.imencode(".png", pixels)[1].tobytes()
    text = b"tEXt" + HASH + origin.encode()
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return content[:-12] + chunk + content[-12:] if origin else content


def kept_mask(path: Path) -> Array:
    return np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED))


def overlay(grey: Array, masks: Iterable[Array]) -> Array:
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
    for k, mask in enumerate(masks):
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, COLOURS[k % len(COLOURS)], 2)
    return picture


class Output:
    """The folder of masks, the rows of the table, and what was done."""

    def __init__(self, scorer: Scorer, folder: Path, overlays: bool) -> None:
        self._scorer, self._folder, self._overlays = scorer, folder, overlays
        self._names: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self.kept, self.made = 0, 0

    def add(self, image: Image) -> None:
        """Masks of one image, made or kept; Unusable where it cannot be read."""
        if self._names.setdefault(image.name.casefold(), image.origin) != image.origin:
            raise Unusable(f"another image is called {image.name} too: rename one")
        origin = hashlib.sha256(f"{self._scorer.sha} {image.origin}".encode()).hexdigest()
        several = len(self._scorer.rules) > 1
        files = {
            name: self._folder / (name if several else "") / f"{image.name}.png"
            for name in self._scorer.rules
        }
        drawn = self._folder / "overlays" / f"{image.name}.png"
        wanted = [*files.values(), drawn] if self._overlays else [*files.values()]
        if all(path.is_file() and HASH + origin.encode() in path.read_bytes() for path in wanted):
            self.kept += 1
            masks = {name: kept_mask(path) for name, path in files.items()}
        else:
            grey = image.grey()
            masks = self._scorer.masks(grey)
            if self._overlays:
                write_whole(drawn, png(overlay(grey, masks.values()), origin))
            for name, path in files.items():
                write_whole(path, png(masks[name] * 255, origin))
            self.made += 1
        for name, mask in masks.items():
            self.rows.append([image.name, *([name] if several else []), run_lengths(mask)])

    def table(self) -> bytes:
        """CSV in UTF-8; a row an image, and class where there are several."""
        text = io.StringIO()
        columns = (
            ["img", "class_id", "pixels"] if len(self._scorer.rules) > 1 else ["img", "pixels"]
        )
        csv.writer(text, lineterminator="\n").writerows([columns, *self.rows])
        return text.getvalue().encode()


def score(paths: Iterable[Path], output: Output, bits: int) -> dict[str, str]:
    """Masks of all images; what could not be used, with the reason."""
    faults: dict[str, str] = {}
    start = time.monotonic()
    for path in paths:
        try:
            for image in images_in(path, bits):
                try:
                    output.add(image)
                except Unusable as fault:
                    whole = path.name.startswith(f"{image.name}.") or path.name == image.name
                    faults[str(path) if whole else f"{path}, {image.name}"] = str(fault)
                show_progress(output, start)
        except Unusable as fault:
            faults[str(path)] = str(fault)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    return faults


def show_progress(output: Output, start: float) -> None:
    if sys.stderr.isatty():
        speed = output.made / max(time.monotonic() - start, 1e-9)
        words = f"\r{output.made + output.kept} images, {speed:.1f} a second "
        print(words, end="", file=sys.stderr, flush=True)


def files_of(path: Path) -> list[Path]:
    """Of a folder, its images, videos and DICOM files, by name; says what it leaves out."""
    if not path.is_dir():
        return [path]
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    known = [f for f in files if f.suffix.lower() in PICTURES | VIDEOS or is_dicom(f)]
    if others := len(files) - len(known):
        print(f"{path}: {others} other files, no images by their names, are left out")
    return known or [path]


def changed_files() -> list[str]:
    """Those that SHA256SUMS has otherwise."""
    sums = (HERE / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return [
        name
        for sha, name in (line.split("  ", 1) for line in sums)
        if not (HERE / name).is_file()
        or hashlib.sha256((HERE / name).read_bytes()).hexdigest() != sha
    ]


def self_test(engine: str) -> bool:
    """Whether files, probabilities and masks of the samples are those they were made with."""
    if changed := changed_files():
        print(f"FAILED: missing or changed since they were written: {', '.join(changed)}")
        return False
    scorer, same = Scorer(HERE, engine), True
    for path in sorted((HERE / "samples").glob("*.npz")):
        expected = np.load(path)
        grey = read_picture(path.with_suffix(".png").read_bytes(), 8)
        apart = float(np.abs(scorer.probabilities(grey)[0] - expected["probabilities"]).max())
        masks = np.stack(list(scorer.masks(grey).values()))
        pixels = np.count_nonzero(masks != expected["masks"])
        print(f"{path.stem}: probabilities differ by at most {apart:.1e}, masks in {pixels} pixels")
        same = same and apart <= 1e-3 and not pixels
    print(f"{'passed' if same else 'FAILED'}, with {scorer.engine}")
    return same


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", type=Path, nargs="*", metavar="PATH")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT, help="folder of the masks")
    parser.add_argument("--overlay", action="store_true", help="DIR/overlays/: mask on image")
    parser.add_argument("--csv", type=Path, help="a table of run lengths of all images")
    parser.add_argument(
        "--bits",
        type=int,
        choices=range(8, 17),
        metavar="8..16",
        help="bits used in files of more than 8",
    )
    parser.add_argument("--engine", choices=["auto", *ENGINES], default="auto")
    parser.add_argument("--self-test", action="store_true", help="try the samples")
    given = parser.parse_args()
    if not given.paths and not given.self_test:
        parser.error("name an image, a video, a DICOM file or a folder, or --self-test")
    if given.self_test and given.engine == "openvino-bf16":
        parser.error("--self-test holds masks to the bit: bfloat16 is not for it")
    if given.self_test:
        return 0 if self_test(given.engine) else 1
    scorer = Scorer(HERE, given.engine)
    output = Output(scorer, given.out, given.overlay)
    files = [file for path in given.paths for file in files_of(path)]
    faults = score(files, output, given.bits or scorer.bits)
    if given.csv:
        write_whole(given.csv, output.table())
    print(f"{given.out}: masks of {output.made} images, and {output.kept} that were there before")
    for name, fault in faults.items():
        print(f"CANNOT BE USED: {name}: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Start the same command again to go on: finished masks are kept.")
