"""The command line that the four steps share."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.config.fields import DEFAULTS, FIELDS, Config, allowed
from lib.config.read import DEFAULT_FILE
from lib.runtime.errors import InputError
from lib.runtime.progress import be_quiet

Load = Callable[[Path, list[str]], Config]


def run(main: Callable[[Config], None], description: str | None, load: Load) -> None:
    """The command line that all steps share; a wrong input ends it with one message, status 1.

    `load` reads the settings from the file of --config and the words key=value.
    """
    parser = argparse.ArgumentParser(
        description=description,
        epilog=_settings_help(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_FILE, metavar="FILE")
    parser.add_argument(
        "settings", nargs="*", metavar="key=value", help="settings that win over the file's"
    )
    options = parser.parse_intermixed_args()
    try:
        config = load(options.config, options.settings)
        be_quiet(config.quiet)
        main(config)
    except InputError as error:
        sys.exit(str(error))
    except PermissionError as error:
        sys.exit(f"{error.filename}: cannot be read or written ({error.strerror})")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Start the same command again to go on: finished work is kept.")


def _settings_help() -> str:
    """All settings with their meaning and default, for --help."""
    lines = ["settings (key=value; in the file they stand in these sections):"]
    lines += ["  data=PATH", "      a folder or zip of known layout: fills in data settings below"]
    section = ""
    for name, item in FIELDS.items():
        about = item.metadata
        if about["section"] != section:
            section = about["section"]
            lines.append(f"\n  {section}:")
        default = getattr(DEFAULTS, name)
        lines.append(f"  {name} ({default!r})")
        lines.append(f"      {about['about']}{_allowed_help(about)}")
    return "\n".join(lines)


def _allowed_help(about: Mapping[str, Any]) -> str:
    if about["only_with"]:
        return f"; acts with other values of {about['only_with']}, which are not built yet"
    return f" [{allowed(about)}]" if allowed(about) else ""
