"""The kinds of faults, a line each: add yours here."""

from tests.hammer import labels, malformed, run_lengths
from tests.hammer.changes import changes, forbidden
from tests.hammer.disks import full_disks, refused_syncs
from tests.hammer.ends import ranks, workers
from tests.hammer.kills import kills, kills_of_all
from tests.hammer.long_runs import long_runs
from tests.hammer.numbers import numbers
from tests.hammer.starts import starts
from tests.hammer.table import Fault
from tests.hammer.torn import flipped, torn

# The quick ones first: what they leave of their share is for the others.
FAULTS: list[Fault] = [
    *malformed.FAULTS,
    *labels.FAULTS,
    *run_lengths.FAULTS,
    Fault("NaN, infinity", "stops by name, good state kept", numbers),
    Fault(
        "disk or quota that refuses at the end", "the file is named; goes on later", refused_syncs
    ),
    Fault("full disk", "the file and bytes are named; goes on with room", full_disks),
    Fault("file cut off", "refused by name, or the same scores", torn, enough=1000),
    Fault("bit turned over", "refused by name, or the same scores", flipped, enough=1000),
    Fault("picture changed or gone", "named, not used", changes),
    Fault("no permission", "named; then the same bytes", forbidden),
    Fault("two commands at once", "refused by name; the same bytes", starts),
    Fault("worker killed", "a message; then the same bytes", workers),
    Fault("rank killed", "all end in a minute; then the same bytes", ranks, enough=30),
    Fault("kills of a step", "the same bytes, nothing left", kills),
    Fault("kills of run_all.sh", "the same bytes, nothing left", kills_of_all, enough=30),
    Fault("50,000 images", "memory and open files do not grow", long_runs),
]
