"""Processors: objects that handle a stream frame by frame, and what they hand from one to the next.

A stage loops over the processors of its package and writes; live use loops over the same processors, so that
its scores equal those of the pipeline. Imports `store`; of its modules only `stored_frames`, which is for
stages, needs pandas.
"""

from vad.stream.items import Frame, FrameAndFlow, FrameErrors, Observation, Regions, WindowsOfFrame
from vad.stream.processor import Processor, Threaded, results

__all__ = [
    "Frame",
    "FrameAndFlow",
    "FrameErrors",
    "Observation",
    "Processor",
    "Regions",
    "Threaded",
    "WindowsOfFrame",
    "results",
]
