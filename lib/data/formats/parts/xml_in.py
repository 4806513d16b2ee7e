"""XML files of tools, read without what XML can do besides: no entities, which tools do not write.

An entity may stand for very much text, or for a file of this machine.
"""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat


class XmlError(ValueError):
    """Not XML that is read; the message says why."""


def root_of(path: Path) -> Element:
    try:
        content = path.read_bytes()
        _require_no_entity(content)
        return ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, expat.ExpatError, LookupError, ValueError) as error:
        raise XmlError(f"{path}: not an XML file that can be read ({error})") from None


def _require_no_entity(content: bytes) -> None:
    def refuse(name: str, *_: object) -> None:
        raise XmlError(f"it declares the entity {name[:40]!r}, which no labelling tool does")

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = refuse
    parser.Parse(content, True)
