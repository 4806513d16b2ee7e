"""Several processes of one step, as torchrun starts them; alone, each function does the obvious.

`torchrun --nproc-per-node=2 02_train.py ...`: each process has a number (its rank) and, where there
are GPUs, one of its own. What they say to each other goes over gloo, gradients on GPUs over nccl.
"""

import itertools
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist

from lib.runtime.errors import InputError

T = TypeVar("T")
BEAT, SILENT = 5.0, 60.0  # seconds between signs of life, and without any until all end


def number_of_processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """0 for the first, which alone writes and prints."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """The number among the processes of this machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def processes_here() -> int:
    """How many of them run on this machine and share its cores."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


@contextmanager
def joined(gpus: list[str]) -> Iterator[None]:
    """The processes meet here; but for the first, they are silent.

    Where `gpus` names several and nothing has started a process for each, torchrun does it now.
    """
    if number_of_processes() == 1:
        if len(gpus) > 1 and torch.cuda.is_available():
            _start_one_for_each(gpus)
        yield
        return
    # The first process may be long about what the others wait for, such as reading every image.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=timedelta(hours=4))
    with _watched(), Path(os.devnull).open("w") as nowhere:
        with redirect_stdout(sys.stdout if rank() == 0 else nowhere):
            yield
        dist.barrier()
    dist.destroy_process_group()  # not after an error: it might wait for what others never send


@contextmanager
def _watched() -> Iterator[None]:
    """Ends this process where another gives no sign of life: it hangs, and none could go on.

    Whatever a process is busy with, threads of it count on.
    """
    over, heard = threading.Event(), [b""] * number_of_processes()
    talk = threading.Thread(target=_tell_and_hear, args=(heard, over), daemon=True)
    watch = threading.Thread(target=_end_with_the_silent, args=(heard, over, talk), daemon=True)
    talk.start()
    watch.start()
    try:
        yield
    finally:
        over.set()
        for thread in (talk, watch):  # Python aborts where one ends in the middle of torch's code
            thread.join(2 * BEAT)


def _tell_and_hear(heard: list[bytes], over: threading.Event) -> None:
    """Puts there what each process told last; ends where torchrun has ended, which tells them.

    It has a thread of its own, for a store whose process hangs never answers.
    """
    keys = [f"alive/{number}" for number in range(len(heard))]
    with suppress(RuntimeError):
        store = dist.TCPStore(
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
        )
        for beat in itertools.count():
            store.set(keys[rank()], str(beat))
            if over.wait(BEAT):
                return
            for number, key in enumerate(keys):
                if store.check([key]):  # else to get it would wait
                    heard[number] = store.get(key)


def _end_with_the_silent(heard: list[bytes], over: threading.Event, talk: threading.Thread) -> None:
    """Counts the looks and not the time, which goes on too while the whole machine sleeps."""
    last, silent = list(heard), [0] * len(heard)
    while not over.wait(BEAT) and talk.is_alive():
        now = list(heard)
        pairs = zip(silent, now, last, strict=True)
        silent = [count + 1 if new == old else 0 for count, new, old in pairs]
        last = now
        if max(silent) * BEAT >= SILENT:
            which = f"process {silent.index(max(silent)) + 1} of {len(silent)}"
            print(f"{which} has given no sign of life for {SILENT:g} s: all end", file=sys.stderr)
            os._exit(1)


def _start_one_for_each(gpus: list[str]) -> None:
    """Puts torchrun, with the same command line, in the place of this process."""
    if len(gpus) > torch.cuda.device_count():
        raise InputError(f"gpus: {gpus}: this machine has {torch.cuda.device_count()} GPU(s)")
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={len(gpus)}"]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *launcher, *sys.argv])


def any_says(*flags: bool) -> list[bool]:
    """Of each flag, whether any process has it set: the same answer in all of them."""
    if number_of_processes() == 1:
        return list(flags)
    votes = torch.tensor(flags, dtype=torch.uint8)
    dist.all_reduce(votes, dist.ReduceOp.MAX)
    return [bool(vote) for vote in votes]


def gathered(value: T) -> list[T]:
    """The values of all processes, by rank, in each of them."""
    if number_of_processes() == 1:
        return [value]
    values: list[T | None] = [None] * number_of_processes()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def of_first(function: Callable[[], T]) -> T:
    """What the first process gets from the function, in all of them; only that one calls it."""
    if number_of_processes() == 1:
        return function()
    value = [function() if rank() == 0 else None]
    dist.broadcast_object_list(value)
    return value[0]  # type: ignore[return-value]


def take_over_from_first(tensors: Iterator[torch.Tensor]) -> None:
    """Gives every process the first one's values, in place."""
    if number_of_processes() > 1:
        for tensor in tensors:
            dist.broadcast(tensor.data, 0)
