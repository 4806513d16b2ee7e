"""Works tried in a forked child that may take little memory and time: what became of each."""

import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence

import pyarrow

from lib.data.archives import ArchiveError
from lib.data.pictures.greys import UnusableImage
from lib.rle import RleError
from lib.runtime.errors import InputError
from tests.hammer.table import Try

Work = tuple[str, Callable[[], object]]

SECONDS = 10
GROWTH = 1 << 30  # bytes
LONGEST = 2000  # characters in a line of an error that a person reads
FOR_A_PERSON = (InputError, UnusableImage, ArchiveError, RleError)


def attempts(works: Sequence[Work]) -> Iterator[Try]:
    """Each work by its name: it ends, or raises an error for a person, in SECONDS and GROWTH."""
    done = 0
    while done < len(works):
        lines, ending = _in_child(works[done:])
        for line in lines:
            yield Try(works[done][0], line)
            done += 1
        if ending and done < len(works):
            yield Try(works[done][0], ending)
            done += 1


def _in_child(works: Sequence[Work]) -> tuple[list[str], str]:
    """What was lost by each that was finished, and why the child ended before the last."""
    answers, to_parent = os.pipe()
    child = os.fork()
    if not child:
        os.close(answers)
        _work_through(works, to_parent)
    os.close(to_parent)
    with open(answers, encoding="utf-8") as stream:
        lines = stream.read().split("\n")[:-1]
    status = os.waitpid(child, 0)[1]
    if not os.WIFSIGNALED(status):
        return lines, "" if len(lines) == len(works) else "ended the process"
    if os.WTERMSIG(status) == signal.SIGALRM:
        return lines, f"took more than {SECONDS} seconds"
    return lines, f"ended the process by {signal.Signals(os.WTERMSIG(status)).name}"


def _work_through(works: Sequence[Work], to_parent: int) -> None:
    """Never returns; what is printed is dropped."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # its own takes a GiB of addresses
    resource.setrlimit(resource.RLIMIT_AS, (_virtual_size() + GROWTH, resource.RLIM_INFINITY))
    for _, work in works:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        lost = _lost_by(work)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(to_parent, (lost.replace("\n", " ") + "\n").encode("utf-8", "replace"))
    os._exit(0)


def _lost_by(work: Callable[[], object]) -> str:
    """Empty for an answer, or an error for a person that needed little memory."""
    try:
        work()
    except FOR_A_PERSON as error:
        if _lacks_memory(error):
            return f"needed more than {GROWTH >> 20} MiB: {error}"[:LONGEST]
        longest = max(map(len, str(error).splitlines()), default=0)
        return "" if 0 < longest < LONGEST else f"a line of {longest} characters"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:LONGEST]
    return ""


def _lacks_memory(error: BaseException | None) -> bool:
    """Whether one of the errors behind it was raised for want of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or "nsufficient memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _virtual_size() -> int:
    """Bytes of this process's address space."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
