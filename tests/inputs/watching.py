"""Watches a stream in tests."""

import time
from collections.abc import Callable

from vad.inputs.source import Source, find_sources
from vad.inputs.stream import Arrival, Stream


def source(text: object) -> Source:
    """The source that a text names."""
    (found,) = find_sources([str(text)])
    return found


def watch(stream: Stream, seconds: float, until: Callable[[], bool] = lambda: False) -> list[Arrival]:
    """Reads a stream until a condition is met, it ends, or time is over.

    Args:
        stream: to read.
        seconds: at most.
        until: the condition; it is asked after each read.
    """
    arrivals = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stream.ended and not until():
        if (arrival := stream.read(0.05)) is not None:
            arrivals.append(arrival)
    return arrivals
