"""fold{k}/speed.csv: what a training took of time and memory, a row a validation.

It stands apart from log.csv, which is the same whatever machine a training ran on.
"""

import math
import platform
import re
import resource
import sys
import time
from pathlib import Path

import pandas as pd
import torch

from lib.artifacts.run import Run
from lib.config.fields import Config
from lib.runtime.errors import InputError
from lib.runtime.files import intact, not_as_written, save_table

GIB = 2**30


class Stopwatch:
    """Counts images and seconds since the last row of fold{k}/speed.csv, and writes the next one.

    Add to `images` those trained on; call validating() before each validation and write() after it.
    """

    def __init__(self, config: Config, fold: int, device: torch.device) -> None:
        self._path, self._device = Run.of(config).speed(fold), device
        self._began = self._trained = time.monotonic()
        self.images = 0

    def validating(self) -> None:
        self._trained = time.monotonic()

    def write(self, epoch: float) -> None:
        """The row of this epoch, in place of those that a run before this one had from here on."""
        now = time.monotonic()
        training = self._trained - self._began
        row = {
            "epoch": epoch,
            "images_per_second": self.images / training if self.images else math.nan,
            "training_seconds": training,
            "validation_seconds": now - self._trained,
            "peak_memory_gib": peak_memory() / GIB,
            "peak_gpu_memory_gib": peak_gpu_memory(self._device) / GIB,
            "device": device_name(self._device),
            "torch": str(torch.__version__),
        }
        before = load_speed(self._path)
        kept = before[before["epoch"] < epoch].to_dict("records")
        save_table(self._path, pd.DataFrame([*kept, row]), summed=True)
        self._began, self.images = now, 0


def load_speed(path: Path) -> pd.DataFrame:
    """The rows so far; none where the file is not there."""
    if not path.is_file():
        return pd.DataFrame({"epoch": []})
    if not intact(path):
        raise InputError(f"{not_as_written(path)}. Delete it")
    try:
        table = pd.read_csv(path, dtype={"epoch": float, "device": str, "torch": str})
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): delete it") from None
    if "epoch" not in table:
        raise InputError(f"{path} has no column epoch: delete it")
    return table


def peak_memory() -> int:
    """Bytes: the most that this process, without its workers, has held in memory at a time."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # man getrusage: KiB on Linux


def peak_gpu_memory(device: torch.device) -> float:
    """Bytes: the most that tensors have held at a time; nan for a processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else math.nan


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()


def _processor() -> str:
    """As Linux names it, for platform.processor() tells nothing there."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1] if found else platform.machine()
