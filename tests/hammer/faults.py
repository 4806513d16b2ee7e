"""The kinds of faults, a line each: add yours here."""

from tests.hammer import labels, malformed
from tests.hammer.table import Fault

FAULTS: list[Fault] = [*malformed.FAULTS, *labels.FAULTS]
