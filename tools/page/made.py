"""When a page is made, and by which code."""

import os
import subprocess
import time
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def day() -> str:
    """Today, such as 29 November 2026.

    SOURCE_DATE_EPOCH, in seconds since 1970, takes the clock's place where it is set, so that a
    page can be made again byte by byte (https://reproducible-builds.org/specs/source-date-epoch).
    """
    told = os.environ.get("SOURCE_DATE_EPOCH")
    moment = time.gmtime(int(told)) if told else time.localtime()
    return f"{moment.tm_mday} {time.strftime('%B %Y', moment)}"


@cache
def code(project: Path = PROJECT) -> str:
    """Such as "commit 73d9f48a01", with "+ changes" where files differ from it.

    "" where the folder is no git checkout of its own.
    """
    top = _git(project, "rev-parse", "--show-toplevel")
    commit = _git(project, "rev-parse", "--short=10", "HEAD")
    if not commit or Path(top).resolve() != project.resolve():
        return ""
    changes = _git(project, "status", "--porcelain", "--untracked-files=no")
    return f"commit {commit}{' + changes' if changes else ''}"


def _git(project: Path, *words: str) -> str:
    """What git answers; "" where it refuses or is not there."""
    command = ["git", "--no-optional-locks", "-C", str(project), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
