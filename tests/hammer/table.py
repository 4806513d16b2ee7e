"""What kinds of fault have in common: tries, a share of the time, a row of the table."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Try:
    """One fault that was made, and what it did where it was more than it may do."""

    what: str  # names the fault so that a person can make it again
    lost: str = ""  # empty: survived


@dataclass(frozen=True)
class Fault:
    """A row of the table. `tries` makes one fault after another, for ever or until none is left."""

    name: str
    holds: str  # what must hold, in a few words
    tries: Callable[[Path, random.Random], Iterator[Try]]
    enough: int = 100  # tries, if there is time for them


@dataclass
class Count:
    """What has become of one kind of fault so far."""

    fault: Fault
    tried: int = 0
    seconds: float = 0.0
    losses: list[Try] = field(default_factory=list)

    @property
    def row(self) -> str:
        survived = self.tried - len(self.losses)
        cells = [self.fault.name, self.fault.holds, f"{self.tried:,}", f"{survived:,}"]
        return "| " + " | ".join([*cells, f"{len(self.losses):,}", f"{self.seconds:.0f} s"]) + " |"


HEADER = "| fault | what holds | tried | survived | lost | time |\n|---|---|---|---|---|---|"


def hammer(fault: Fault, folder: Path, seconds: float, seed: int) -> Count:
    """Makes faults of one kind until there are enough or the time is over; at least one."""
    count, start = Count(fault), time.monotonic()
    folder.mkdir(parents=True)
    for one in fault.tries(folder, random.Random(f"{seed}/{fault.name}")):
        count.tried += 1
        if one.lost:
            count.losses.append(one)
        if count.tried == fault.enough or time.monotonic() - start > seconds:
            break
    count.seconds = time.monotonic() - start
    return count


def losses(counts: Iterable[Count]) -> list[str]:
    """A line for each fault that lost something."""
    return [f"{c.fault.name}: {one.what}: {one.lost}" for c in counts for one in c.losses]
