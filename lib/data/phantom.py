"""The mark of a data set that was drawn, not recorded: 01 reads it, tools.phantom leaves it."""

from pathlib import Path

from lib.config.fields import Config

MARKER = "PHANTOM.md"
TEXT = """\
# Phantom

These images are drawn by `tools.phantom`, not recorded from people. A score on them shows that
everything works and says nothing about people. Leave this file beside the images: 01 reads it, and
its scores carry the mark PHANTOM.
"""


def is_phantom(config: Config) -> bool:
    """Whether the mark lies in the folder of the training images, or in the one above it."""
    folder = Path(config.data_folder)
    return any((place / MARKER).is_file() for place in (folder, folder.absolute().parent))
