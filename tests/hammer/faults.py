"""The kinds of faults, a line each: add yours here."""

from tests.hammer.table import Fault

FAULTS: list[Fault] = []
