"""The command line that the four steps share."""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lib.config.fields import DEFAULTS, FIELDS, Config, allowed
from lib.config.read import DEFAULT_FILE
from lib.runtime.errors import InputError, of_another_process
from lib.runtime.files import SUMS, intact
from lib.runtime.interrupt import keyboard_interrupts
from lib.runtime.progress import be_quiet

Load = Callable[[Path, list[str]], Config]


def run(
    main: Callable[[Config], None], description: str | None, load: Load, begins: bool = False
) -> None:
    """The command line that all steps share; a wrong input ends it with one message, status 1.

    `load` reads the settings from the file of --config and the words key=value. The step that
    `begins` a run takes a config.yaml of one that was changed by hand.
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
        with keyboard_interrupts():
            require_unchanged(options.config, begins)
            config = load(options.config, options.settings)
            be_quiet(config.quiet)
            main(config)
    except InputError as error:
        sys.exit(str(error))
    except (RuntimeError, ConnectionError) as error:
        if (reason := of_another_process(error)) is None:
            raise
        sys.exit(f"{reason}. Start the same command again to go on: finished work is kept.")
    except OSError as error:
        if error.filename is None:
            raise
        sys.exit(f"{error.filename}: cannot be read or written ({error.strerror})")
    except KeyboardInterrupt:
        sys.exit("\nStopped. Start the same command again to go on: finished work is kept.")


def require_unchanged(path: Path, begins: bool) -> None:
    """InputError, or a line where a step `begins`, for a run's config.yaml that is another now."""
    if not path.is_file() or intact(path):
        return
    if not begins:
        raise InputError(
            f"{path} is not as it was written: damaged or changed by hand. Run "
            "01_prepare_folds.py with it first, which takes it as it is now (or delete the "
            f"{SUMS} beside it)"
        )
    print(f"{path} has changed since it was written, and is taken as it is now")


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
