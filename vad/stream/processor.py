"""The base class of all processors, and a wrapper that runs one in a thread."""

import math
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Processor(Generic[In, Out]):
    """Handles a stream item by item.

    The result of an item depends on the items before it and on at most `lookahead` items after it; at the end
    of the stream, on fewer. So memory is bounded by the lookahead and by what is kept of the past, not by the
    length of the stream. Results come in the order of the items, one for each unless a class says otherwise.

        for item in items:
            for result in processor.process(item): ...
        for result in processor.finish(): ...

    Attributes:
        lookahead: number of items after an item that its result needs.
    """

    lookahead: int = 0

    def process(self, item: In) -> list[Out]:
        """Takes the next item.

        Args:
            item: what the class says, for example a frame.

        Returns:
            The results that have become ready, in order; none, one or several.
        """
        raise NotImplementedError

    def poll(self) -> list[Out]:
        """Takes results that threads have finished since the last call, without a further item.

        Returns:
            Those results, in order; none unless a part of the processor runs in a thread.
        """
        return []

    def finish(self) -> list[Out]:
        """Ends the stream; call once, after the last item.

        Returns:
            The results still owed, in order.
        """
        return []


def results(processor: Processor[In, Out], items: Iterable[In]) -> Iterator[Out]:
    """Yields the results of all items of a stream that ends.

    Args:
        processor: that has had no items yet.
        items: all items of the stream.
    """
    for item in items:
        yield from processor.process(item)
    yield from processor.finish()


class Threaded(Processor[In, Out]):
    """Runs a processor in a thread of its own, so that its work overlaps with that of the caller.

    Results are the same; they come up to `pending` items later, or by `poll` as soon as they are there. An
    error of the thread is raised by the next call, once the results before it have been returned; the thread
    then ends, without the items that waited.

    Args:
        processor: to run; nothing else may use it.
        pending: number of items that may be unfinished; `process` waits beyond that.
    """

    def __init__(self, processor: Processor[In, Out], pending: int = 4):
        self.processor, self.pending = processor, pending
        self.lookahead = processor.lookahead
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=type(processor).__name__)
        self._waiting: deque[Future[list[Out]]] = deque()

    def process(self, item: In) -> list[Out]:
        self._waiting.append(self._thread.submit(self.processor.process, item))
        return self._taken(self.pending)

    def poll(self) -> list[Out]:
        return self._taken(math.inf)

    def _taken(self, unfinished: float) -> list[Out]:
        """Takes the results that are there, and waits for more while more than `unfinished` items wait."""
        out: list[Out] = []
        while self._waiting and (len(self._waiting) > unfinished or self._waiting[0].done()):
            if out and self._waiting[0].exception():
                break  # the next call raises it
            out += self._next()
        return out

    def finish(self) -> list[Out]:
        self._waiting.append(self._thread.submit(self.processor.finish))
        out: list[Out] = []
        while self._waiting:
            out += self._next()
        self._thread.shutdown()
        return out

    def _next(self) -> list[Out]:
        """Waits for the item that has waited longest, and returns its results."""
        try:
            return self._waiting.popleft().result()
        except BaseException:
            self._thread.shutdown(wait=False, cancel_futures=True)
            raise
