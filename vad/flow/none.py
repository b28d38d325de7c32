"""No optical flow, for configurations that do not use it."""

import numpy as np

from vad.flow.base import FLOW_METHODS, FlowMethod, FlowProcessor
from vad.pipeline.params import Section
from vad.stream import Frame


@FLOW_METHODS.register
class NoFlow(FlowMethod):
    """Computes no flow."""

    class Params(Section):
        """`flow.none`: no parameters."""

    @property
    def scale(self) -> None:
        return None

    def processor(self, height: int, width: int, *, threads: int = 1) -> FlowProcessor:
        return _Nothing()


class _Nothing(FlowProcessor):
    """Gives None for every frame."""

    def process(self, item: Frame) -> list[np.ndarray | None]:
        return [None]
