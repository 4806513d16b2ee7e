"""A few tries of every fault of input, the same each time."""

import random
from itertools import islice
from pathlib import Path

import pytest

from tests.hammer import labels, malformed, run_lengths
from tests.hammer.table import Fault

FEW = [(fault, 20) for fault in (*malformed.FAULTS, *labels.FAULTS)]
FEW += [(run_lengths.FAULTS[0], 3000), (run_lengths.FAULTS[1], 100)]


@pytest.mark.parametrize(("fault", "count"), FEW, ids=lambda value: getattr(value, "name", None))
def test_input_that_is_wrong_gives_an_answer_or_an_error_for_a_person(
    tmp_path: Path, fault: Fault, count: int
) -> None:
    tries = fault.tries(tmp_path / "tries", random.Random(7))
    assert [one for one in islice(tries, count) if one.lost] == []
