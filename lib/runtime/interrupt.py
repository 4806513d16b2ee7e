"""Ctrl-C and SIGTERM as a wish that a loop can grant where its state is whole."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # of the keyboard; of a cluster that wants its node back


def end_without_a_word() -> None:
    """Lets Ctrl-C end a process that only begins, as SIGTERM does: no traceback of its imports.

    Not so where somebody had it ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def keyboard_interrupts() -> Iterator[None]:
    """As long as this lasts, Ctrl-C is an exception again, after `end_without_a_word`."""
    begun = signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    if begun:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        if begun:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def stop_wished(patient: bool = False) -> Iterator[Callable[[], bool]]:
    """A function that tells whether one of SIGNALS has come; the second of them acts as ever.

    Not so to the `patient`: a process that torchrun started gets the keyboard's and torchrun's.
    """
    wished = False

    def wish(number: int, frame: Any) -> None:
        nonlocal wished
        wished = True
        if not patient:
            restore()

    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield lambda: wished
        return
    before = {number: signal.signal(number, wish) for number in SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    try:
        yield lambda: wished
    finally:
        restore()


def leave_signals_to_the_parent() -> None:
    """For a worker process: only its parent ends it, whatever a whole process group is sent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    threading.Thread(target=_end_for, args=(os.getppid(),), daemon=True).start()


def _end_for(parent: int) -> None:
    """At its SIGTERM; of others, such as `timeout` or a cluster, it is the parent's to decide."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)
