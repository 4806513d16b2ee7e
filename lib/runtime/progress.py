"""Progress of long work: a bar with the time left on a terminal, lines in a log."""

import sys
import time
from collections.abc import Iterable
from typing import Any, TypeAlias

from tqdm import tqdm

AFTER = 2  # seconds; shorter work needs no bar
EVERY = 30  # seconds between two lines in a log
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}, {elapsed} elapsed, {remaining} left{postfix}"
OPEN_END = "{desc}: {n_fmt} {unit}, {elapsed} elapsed{postfix}"

Progress: TypeAlias = "tqdm[Any]"
_quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether all progress of this process stays unseen."""
    global _quiet
    _quiet = quiet


def progress(
    items: Iterable[Any] | None = None,
    title: str = "",
    total: int | None = None,
    unit: str = "images",
    shown: bool = True,
    **options: Any,
) -> Progress:
    """tqdm over the items, or to be updated; it leaves nothing on the screen when it is done."""
    kind = tqdm if sys.stderr.isatty() else _Lines
    return kind(
        items,
        title,
        total,
        unit=unit,
        delay=AFTER,
        leave=False,
        disable=_quiet or not shown,
        **options,
    )


class _Lines(tqdm):
    """A line every 30 seconds in the place of a bar."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._told = time.monotonic()
        super().__init__(
            *arguments, **options | {"mininterval": EVERY, "miniters": 1, "delay": EVERY}
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        now = time.monotonic()
        if msg is None and now - self._told >= EVERY:
            self._told, self.bar_format = now, LINE if self.total else OPEN_END
            print(self, file=sys.stderr, flush=True)

    def clear(self, *_: Any, **__: Any) -> None:
        """There is nothing to wipe out of a log, as tqdm.write() would."""

    def close(self) -> None:
        self.last_print_t = 0.0  # nothing was displayed, for tqdm, that it would have to clear
        super().close()
