"""A YAML file and `key=value` words -> settings, and back.

The file format is Hydrogen Torch's experiment YAML. `key=value` wins over the file, and `data=PATH`
fills in the data settings of a folder whose layout is known.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml

from lib.config.checks import checked, conflicts
from lib.config.fields import DEFAULTS, FIELDS, TYPES, Config
from lib.runtime.errors import InputError

# The folder or zip of data=PATH, where a zip is unpacked, and the settings that are given beside
# it -> the data settings that fit it; a ValueError says what is wrong.
# lib/data/layouts.py has the one that the steps use.
FindLayout = Callable[[Path, Path, dict[str, Any]], dict[str, str]]

DEFAULT_FILE = Path(__file__).parents[2] / "config.yaml"


def load_config(
    path: Path, overrides: Iterable[str] = (), find_layout: FindLayout | None = None
) -> Config:
    """Reads the YAML file, then the `key=value` overrides, which win.

    Raises InputError that lists everything wrong with them at once.
    """
    errors: list[str] = []
    in_file = checked(_read_file(path), str(path), errors)
    given = checked(_split_overrides(overrides, errors), "command line", errors)
    unpack_into = Path((in_file | given).get("runs_folder", DEFAULTS.runs_folder)) / ".unpacked"
    values: dict[str, Any] = {}
    for source in (in_file, given):
        data = source.pop("data", None)
        layout: dict[str, str] = {}
        # A file that holds every setting says None where it says nothing.
        said = {name: v for name, v in source.items() if source is given or v != "None"}
        if data and find_layout:
            layout = _layout(find_layout, Path(data), unpack_into, said | given, errors)
        elif data:
            errors.append(f"data={data}: only the four steps look for data")
        values |= source | {name: layout[name] for name in layout.keys() - said.keys()}
    if not errors:
        errors += conflicts(Config(**values))
    if errors:
        raise InputError("The settings cannot be used:\n  " + "\n  ".join(errors))
    return Config(**values)


def to_yaml(config: Config) -> str:
    """The settings as Hydrogen Torch lays them out: sections, sorted by name."""
    tree: dict[str, Any] = {}
    for name, item in FIELDS.items():
        section = item.metadata["section"]
        place = tree.setdefault(section, {}) if section else tree
        place[name] = getattr(config, name)
    return yaml.safe_dump(tree, sort_keys=True, allow_unicode=True)


def _read_file(path: Path) -> dict[str, Any]:
    """The settings of a YAML file by name, out of their sections."""
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _NoDoubles) or {}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:  # as !!timestamp has
        raise InputError(f"{path}: not a YAML file: {error}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: a YAML file of `name: value` lines was expected")
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        settings = value if isinstance(value, dict) else {key: value}
        if twice := flat.keys() & settings.keys():
            raise InputError(f"{path}: set twice: {', '.join(sorted(twice))}")
        flat |= settings
    return flat


class _NoDoubles(yaml.SafeLoader):
    """Refuses a name that stands twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := {name for name in names if names.count(name) > 1}:
            raise yaml.YAMLError(f"set twice: {', '.join(map(str, twice))}")
        return super().construct_mapping(node, deep)


def _split_overrides(overrides: Iterable[str], errors: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for word in overrides:
        name, equals, text = word.partition("=")
        if not equals:
            errors.append(f"{word!r}: a setting is written key=value")
        elif name in FIELDS and (other := FIELDS[name].metadata["only_with"]):
            errors.append(f"{name}: acts with values of {other} that are not built yet")
        elif name == "data" or TYPES.get(name) is str:
            values[name] = text
        else:
            values[name] = _parsed(text)
    return values


def _parsed(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        return text


def _layout(
    find_layout: FindLayout, data: Path, unpack_into: Path, said: dict[str, Any], errors: list[str]
) -> dict[str, str]:
    """The data settings of the folder or zip; what is wrong with it goes to `errors`."""
    try:
        return find_layout(data, unpack_into, said)
    except ValueError as error:
        errors.append(str(error))
        return {}
