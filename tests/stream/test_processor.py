"""Processors alone and in a thread of their own: the same results in the same order."""

import threading
import time
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad.stream import Processor, Threaded, results


class Sums(Processor[int, int]):
    """The sum of each number and the `lookahead` numbers after it; at the end, of fewer."""

    def __init__(self, lookahead: int, pause: float = 0.0):
        self.lookahead, self.pause = lookahead, pause
        self.kept: deque[int] = deque()
        self.threads: set[int] = set()

    def process(self, item: int) -> list[int]:
        time.sleep(self.pause)
        self.threads.add(threading.get_ident())
        self.kept.append(item)
        if len(self.kept) <= self.lookahead:
            return []
        out = sum(self.kept)
        self.kept.popleft()
        return [out]

    def finish(self) -> list[int]:
        self.threads.add(threading.get_ident())
        return [sum(list(self.kept)[i:]) for i in range(len(self.kept))]


class Gate(Processor[int, int]):
    """Waits in `process` until it is opened; notes what it has begun; fails at negative numbers.

    Numbers from 100 on wait for a gate of their own.
    """

    def __init__(self) -> None:
        self.open, self.open_late, self.begun = threading.Event(), threading.Event(), []

    def process(self, item: int) -> list[int]:
        self.begun.append(item)
        assert (self.open_late if item >= 100 else self.open).wait(10)
        if item < 0:
            raise ValueError(f"bad item {item}")
        return [item]


def test_poll_takes_results_without_a_further_item():
    gate = Gate()
    threaded = Threaded(gate)
    assert threaded.process(5) == [] == threaded.poll()
    gate.open.set()
    taken: list[int] = []
    while not taken:
        taken = threaded.poll()
    assert taken == [5]
    assert threaded.poll() == [] == threaded.finish()


def expected(numbers: list[int], lookahead: int) -> list[int]:
    return [sum(numbers[i : i + lookahead + 1]) for i in range(len(numbers))]


@given(st.lists(st.integers(-9, 9), max_size=30), st.integers(0, 5), st.integers(0, 6))
def test_results_are_the_same_in_a_thread(numbers, lookahead, pending):
    assert list(results(Sums(lookahead), numbers)) == expected(numbers, lookahead)
    threaded = Threaded(Sums(lookahead), pending)
    assert threaded.lookahead == lookahead
    assert list(results(threaded, numbers)) == expected(numbers, lookahead)


def test_results_come_with_the_item_that_completes_them():
    """Not only at the end: a stream need not have one."""
    sums, out = Sums(2), []
    for i in range(100):
        out += sums.process(i)
        assert len(out) == max(0, i - 1)

    def endless():
        yield from range(10)
        raise AssertionError("read further than needed")

    stream = results(Sums(0), endless())
    assert [next(stream) for _ in range(10)] == list(range(10))


def test_order_is_kept_when_caller_and_thread_take_turns_to_be_slow():
    rng, out = np.random.default_rng(0), []
    threaded = Threaded(Sums(1, pause=0.001), pending=3)
    numbers = list(range(60))
    for i in numbers:
        time.sleep(rng.choice([0, 0.003]))
        out += threaded.process(i)
        assert len(out) >= i - 1 - 3  # at most `pending` items later
    assert out + threaded.finish() == expected(numbers, 1)


def test_the_work_is_done_in_a_single_thread_that_ends():
    before, sums = threading.active_count(), Sums(0)
    threaded = Threaded(sums)
    list(results(threaded, range(20)))
    assert len(sums.threads) == 1
    assert threading.get_ident() not in sums.threads
    assert threading.active_count() == before


def test_items_that_wait_are_bounded():
    gate = Gate()
    threaded = Threaded(gate, pending=3)
    for i in range(3):
        assert threaded.process(i) == []
    caller = threading.Thread(target=threaded.process, args=(3,))
    caller.start()
    caller.join(0.2)
    assert caller.is_alive()  # waits, since four items would be pending
    assert gate.begun == [0]
    gate.open.set()
    caller.join(10)
    assert not caller.is_alive()
    threaded.finish()


def test_an_error_of_the_thread_is_raised_after_the_results_before_it():
    gate = Gate()
    threaded = Threaded(gate, pending=5)
    out = [threaded.process(i) for i in (0, 1, -2, 3)]
    assert out == [[]] * 4
    gate.open.set()
    while len(gate.begun) < 4:  # the thread has finished the first three
        time.sleep(0.001)
    assert threaded.process(4) == [0, 1]
    with pytest.raises(ValueError, match="bad item -2"):
        threaded.process(5)


def test_errors_are_raised_by_finish():
    gate = Gate()
    threaded = Threaded(gate, pending=9)
    assert [threaded.process(i) for i in (0, -1)] == [[], []]
    gate.open.set()
    with pytest.raises(ValueError, match="bad item -1"):
        threaded.finish()

    class Broken(Processor[int, int]):
        def process(self, item: int) -> list[int]:
            return [item]

        def finish(self) -> list[int]:
            raise ValueError("no end")

    with pytest.raises(ValueError, match="no end"):
        list(results(Threaded(Broken()), range(3)))


def test_after_an_error_the_items_that_wait_are_left_undone():
    """So that the program is not kept waiting for results that nobody takes."""
    before, gate = threading.active_count(), Gate()
    threaded = Threaded(gate, pending=9)
    for item in (-1, 100, 101):
        threaded.process(item)
    gate.open.set()
    while len(gate.begun) < 2:  # the first has failed, the second is at work
        time.sleep(0.001)
    with pytest.raises(ValueError, match="bad item -1"):
        threaded.process(102)
    gate.open_late.set()
    while threading.active_count() > before:
        time.sleep(0.001)
    assert gate.begun == [-1, 100]
    with pytest.raises(RuntimeError):
        threaded.process(103)
