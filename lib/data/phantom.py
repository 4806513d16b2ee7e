"""The mark of a data set that was drawn, not recorded: 01 reads it, tools.phantom leaves it."""

from pathlib import Path

from lib.artifacts.caveats import Caveat
from lib.config.fields import Config

MARKER = "PHANTOM.md"
TEXT = """\
# Phantom

These images are drawn by `tools.phantom`, not recorded from people. A score on them shows that
everything works and says nothing about people. Leave this file beside the images: 01 reads it, and
reports of a run carry the mark PHANTOM.
"""

# What a report says of a run whose folds_audit.json has phantom: true.
CAVEAT = Caveat(
    mark="PHANTOM",
    text="the images are drawn, not recorded from people: a score on them shows that everything "
    "works and says nothing about people",
)


def is_phantom(config: Config) -> bool:
    """Whether the mark lies in the folder of the training images, or in the one above it."""
    folder = Path(config.data_folder)
    return any((place / MARKER).is_file() for place in (folder, folder.absolute().parent))
