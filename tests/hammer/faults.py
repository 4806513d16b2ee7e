"""The kinds of faults, a line each: add yours here."""

from tests.hammer import labels, malformed, run_lengths
from tests.hammer.table import Fault

FAULTS: list[Fault] = [*malformed.FAULTS, *labels.FAULTS, *run_lengths.FAULTS]
