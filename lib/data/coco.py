"""COCO's instances, for lib/data/labels.py."""

from pathlib import Path

from lib.config.fields import Config
from lib.data.formats import coco
from lib.data.label_tables import Labels


def labels_of_coco(path: Path, config: Config) -> Labels:
    """The labels under the names that the file gives its images."""
    return coco.read(path, {}, config)
