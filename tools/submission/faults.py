"""What is wrong with a submission, and how it is told."""

from collections.abc import Iterable
from typing import NamedTuple

from lib.artifacts.submission import Key

SHOWN = 5  # faults of one kind that are named; the others are counted


class Fault(NamedTuple):
    kind: str
    where: str
    what: str = ""  # of this one, where `kind` does not say all


def listed(faults: Iterable[Fault]) -> str:
    """By kind: their number, and the first few by name."""
    kinds: dict[str, list[Fault]] = {}
    for fault in faults:
        kinds.setdefault(fault.kind, []).append(fault)
    lines = []
    for kind, those in kinds.items():
        lines.append(f"  {kind}: {len(those)}")
        lines += ["    " + ": ".join(filter(None, fault[1:])) for fault in those[:SHOWN]]
        if (more := len(those) - SHOWN) > 0:
            lines.append(f"    ... and {more} more")
    return "\n".join(lines)


def named(key: Key) -> str:
    return f"img {key[0]}, class_id {key[1]}" if key[1] else f"img {key[0]}"
