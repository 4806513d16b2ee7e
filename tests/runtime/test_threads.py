import threading
from collections.abc import Iterator

import pytest

from lib.runtime.threads import in_order


def test_threads_keep_the_order_and_hold_back_no_more_than_asked() -> None:
    drawn, release = [], threading.Event()

    def items() -> Iterator[int]:
        for number in range(20):
            drawn.append(number)
            yield number

    def slow_at_first(number: int) -> int:
        if number == 0:
            release.wait(10)
        return number * number

    results = in_order(slow_at_first, items(), ahead=5)
    threading.Timer(0.05, release.set).start()
    assert next(results) == 0
    assert len(drawn) == 6
    assert list(results) == [number * number for number in range(1, 20)]


def test_an_error_in_a_thread_comes_out_where_its_result_would() -> None:
    results = in_order(lambda number: 1 // (2 - number), range(5), ahead=1)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)
