"""Files with something wrong in them: bytes changed anywhere, or a value in a tree of values."""

import copy
import json
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

Change = Callable[[bytes, random.Random], bytes]

# Numbers that a header would not have.
FIELDS = [struct.pack(f, n) for f in ("<I", ">I") for n in (2**32 - 1, 2**31 - 1, 10**5, 0)]
FIELDS += [struct.pack(f, n) for f in ("<H", ">H") for n in (2**16 - 1, 2**15, 0)]
FIELDS += [struct.pack("<q", n) for n in (2**63 - 1, -1, 10**12)] + [b"99999999", b"-1", b"nan"]

LONG = "9" * 5000  # more digits than Python reads
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
ODD: list[Any] = [
    None,
    True,
    0,
    -1,
    1.5,
    1e308,
    10**9,
    10**30,
    float("nan"),
    float("inf"),
    "",
    "x",
    "é\u0000",
]
ODD += [LONG, "-1", "1e9", "=1+1", "../../x", "/etc/passwd", "<b>", [], {}, [[]], [None], DEEP]
ODD += [{"a": 1}, "\ud800", [1, 2], [[0.5, 1], [2, "x"]], "x" * 10**5, ["x"] * 3, [10**9] * 4]


def changed(content: bytes, others: Sequence[bytes], rng: random.Random) -> bytes:
    """With one to three changes, of which some take parts of `others`."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if content:
            content = rng.choice(CHANGES)(content, rng)
    if rng.random() < 0.1:
        content = content[: _at(content, rng)] + (other := rng.choice(others))[_at(other, rng) :]
    return content


def _at(content: bytes, rng: random.Random) -> int:
    """A place, often near the front, where headers are."""
    limit = min(len(content), rng.choice((64, 512, len(content))))
    return rng.randrange(limit + 1)


def _truncated(content: bytes, rng: random.Random) -> bytes:
    return content[: _at(content, rng)]


def _flipped(content: bytes, rng: random.Random) -> bytes:
    new = bytearray(content)
    for _ in range(rng.choice((1, 1, 4, 32))):
        new[min(_at(content, rng), len(new) - 1)] ^= 1 << rng.randrange(8)
    return bytes(new)


def _doubled(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted((_at(content, rng), _at(content, rng)))
    return content[:end] + content[start:end] * rng.choice((1, 1, 50)) + content[end:]


def _cut_out(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted((_at(content, rng), _at(content, rng)))
    return content[:start] + content[end:]


def _zeroed(content: bytes, rng: random.Random) -> bytes:
    start, end = sorted((_at(content, rng), _at(content, rng)))
    return content[:start] + bytes(end - start) + content[end:]


def _oversized(content: bytes, rng: random.Random) -> bytes:
    field, start = rng.choice(FIELDS), _at(content, rng)
    return content[:start] + field + content[start + len(field) :]


CHANGES: tuple[Change, ...] = (_truncated, _flipped, _doubled, _cut_out, _zeroed)
CHANGES += (_oversized, _oversized)


def changed_tree(tree: Any, rng: random.Random) -> Any:
    """The tree of dicts, lists and values with one to three of them replaced, doubled or gone."""
    tree = copy.deepcopy(tree)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        if places:
            _change(*rng.choice(places), rng)
    return tree


def _places(tree: Any, depth: int = 0) -> list[tuple[Any, Any]]:
    """Each container and key of a value in it, not too deep; of long lists the beginning."""
    found: list[tuple[Any, Any]] = []
    keys = (
        list(tree) if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    )
    for key in list(keys)[:50] if depth < 20 else ():
        found.append((tree, key))
        found += _places(tree[key], depth + 1)
    return found


def _change(container: Any, key: Any, rng: random.Random) -> None:
    how = rng.random()
    if how < 0.7:
        container[key] = copy.deepcopy(rng.choice(ODD))
    elif how < 0.85:
        del container[key]
    elif isinstance(container, list):
        container.insert(key, copy.deepcopy(container[key]))
    else:
        container[f"{key}x"] = container.pop(key)


def changed_text(text: str, rng: random.Random) -> str:
    """With one to three of its words, numbers and signs replaced, doubled or gone."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        tokens = list(re.finditer(r"[\w.+-]+|[^\w\s]", text))
        if not tokens:
            break
        token = rng.choice(tokens)
        odd = rng.choice(ODD)
        written = odd if isinstance(odd, str) else json.dumps(odd)
        new = rng.choice((written, written, "", token[0] * 2, token[0][:100] * 3000, "[" * 3000))
        text = text[: token.start()] + new + text[token.end() :]
    return text
