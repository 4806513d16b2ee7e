"""Work in threads, of which only the time changes and not the results.

It does without PyTorch, which takes 01 two seconds to load.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from lib.runtime.cores import usable_cores
from lib.runtime.progress import progress

Item = TypeVar("Item")
Result = TypeVar("Result")
# Hold it while NumPy reads the header of an array. It uses Python's parser, which may fail
# when threads share it, before Python 3.11.8: https://github.com/python/cpython/issues/106905
PARSING = Lock()
READERS = min(4, 2 * usable_cores())  # now and then one waits for the disk


def in_order(
    function: Callable[[Item], Result], items: Iterable[Item], ahead: int, threads: int = 2
) -> Iterator[Result]:
    """function(item) of each in threads, while the next `ahead` items are made; in their order."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def with_bar(
    function: Callable[[Item], Result], items: Sequence[Item], title: str
) -> Iterator[Result]:
    """function(item) of each in threads, in their order: for work that leaves Python's lock."""
    results = in_order(function, items, 4 * READERS, READERS)
    yield from progress(results, title, len(items))
