"""Processors that yield their results one by one.

The model of a background is learned from many frames, and then the results of all of them are due at once.
Yielded one by one, they are handed on before the next is computed, so that only one is in memory.
"""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from vad.stream import Processor

In = TypeVar("In")
Out = TypeVar("Out")


class LazyProcessor(Processor[In, Out]):
    """A processor whose results can also be taken one by one, by `stream` and `rest`.

    Their iterators must be exhausted before the next call.
    """

    def stream(self, item: In) -> Iterator[Out]:
        """Like `process`, but computes a result when it is asked for."""
        raise NotImplementedError

    def rest(self) -> Iterator[Out]:
        """Like `finish`, but computes a result when it is asked for."""
        return iter(())

    def results(self, items: Iterable[In]) -> Iterator[Out]:
        """Yields the results of all items of a stream that ends, each as it is computed."""
        for item in items:
            yield from self.stream(item)
        yield from self.rest()

    def process(self, item: In) -> list[Out]:
        return list(self.stream(item))

    def finish(self) -> list[Out]:
        return list(self.rest())
