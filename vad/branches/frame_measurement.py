"""From frames to errors: the processors between decoding and scoring, for frames of one size."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

from vad import UserError
from vad.branches.base import Branch, ClipFormat, TensorShape
from vad.branches.measurement import Measurement
from vad.flow import FlowMethod
from vad.regions import RegionMode
from vad.resize.channels import FlowUnits, Sources
from vad.resize.cutter import Cutter
from vad.store.body_heights import BodyHeight
from vad.store.zones import CameraZones
from vad.stream import Frame, FrameErrors, Observation, Processor, Regions, WindowsOfFrame
from vad.stream.processor import Threaded
from vad.windows.spec import TensorSpec


class FrameMeasurement(Processor[Frame, FrameErrors]):
    """Measures the errors of each frame by flow, regions, windows and branches, one after another.

    Each of these processors has its own lookahead, so a frame waits in a queue until its flow has come, then
    in another until its regions have.

    Args:
        flow: the method of optical flow.
        mode: the mode of preprocessing, prepared.
        spec: channels and size of tensors, and the frames of a window at this rate.
        branches: the sources of error, opened.
        cell: pixels of the frame per cell of a map, in each direction.
        shape: of a frame, (height, width) or (height, width, 3).
        fps: frames per second.
        camera: name of the camera; "" if unknown.
        body_height: how tall people are in the frame.
        zones: of the camera.
        skip_warm_up: whether the frames from which the background is learned get no motion, so that their
            results need not wait until it is learned.
        concurrent: whether the heavy processors run in threads.

    Attributes:
        measurement: the branches at work.

    Raises:
        UserError: if model and frames do not fit each other.
    """

    def __init__(
        self,
        flow: FlowMethod,
        mode: RegionMode,
        spec: TensorSpec,
        branches: Sequence[Branch],
        cell: int,
        *,
        shape: tuple[int, ...],
        fps: float,
        camera: str,
        body_height: BodyHeight,
        zones: CameraZones,
        skip_warm_up: bool,
        concurrent: bool,
    ):
        self._shape = shape
        height, width = size = shape[0], shape[1]
        of_flow = flow.processor(height, width)
        self._flow = Threaded(of_flow) if concurrent else of_flow
        self._regions = mode.processor(
            height,
            width,
            fps,
            flow_scale=flow.scale,
            concurrent=concurrent,
            skip_warm_up=skip_warm_up,
        )
        color: Literal["gray", "rgb"] = "gray" if len(shape) == 2 else "rgb"
        sources = Sources(
            height=height,
            width=width,
            color=color,
            picture=mode.picture,
            flow=None if flow.scale is None else FlowUnits(flow.scale, fps, body_height),
            silhouettes=mode.picture != ("frame",),
        )
        self._cutter = Cutter(spec, sources)
        clip = ClipFormat(
            frame=size,
            cell=cell,
            tensor=TensorShape(spec.height, spec.width, spec.fit),
            fps=fps,
            body_height=body_height,
            camera=camera,
            flow_scale=flow.scale,
            classes=len(self._regions.classes) or None,
            planes=tuple(self._cutter.names),
            frames=spec.window.frames,
            zones=zones,
        )
        self.measurement = Measurement(branches, clip, threads=1)
        # frames that wait for their flow, then frames with flow that wait for their regions
        self._without_flow: deque[Frame] = deque()
        self._without_regions: deque[tuple[Frame, np.ndarray | None]] = deque()

    def process(self, item: Frame) -> list[FrameErrors]:
        """Takes the next frame.

        Raises:
            UserError: if its size differs from that of the first frame.
        """
        if item.pixels.shape != self._shape:
            (height, width), (h, w) = item.pixels.shape[:2], self._shape[:2]
            raise UserError(f"frame {item.number} has {width}x{height} pixels, the first frame {w}x{h}")
        self._without_flow.append(item)
        return self._with_flow(self._flow.process(item))

    def poll(self) -> list[FrameErrors]:
        return self._with_flow(self._flow.poll()) + self._with_regions(self._regions.poll())

    def finish(self) -> list[FrameErrors]:
        # in the order of the data: what a processor still owes goes through all processors behind it
        out = self._with_flow(self._flow.finish())
        out += self._with_regions(self._regions.rest())
        out += self._measured(self._cutter.finish())
        return out + self.measurement.finish()

    def _with_flow(self, flows: Sequence[np.ndarray | None]) -> list[FrameErrors]:
        out: list[FrameErrors] = []
        for flow in flows:
            frame = self._without_flow.popleft()
            self._without_regions.append((frame, flow))
            # shown to the cutter at once, so that windows and regions look ahead at the same time
            out += self._measured(self._cutter.preview(frame, flow))
            out += self._with_regions(self._regions.stream((frame, flow)))
        return out

    def _with_regions(self, regions_of_frames: Iterable[Regions]) -> list[FrameErrors]:
        out: list[FrameErrors] = []
        for regions in regions_of_frames:
            frame, flow = self._without_regions.popleft()
            out += self._measured(self._cutter.process(Observation(frame, flow, regions)))
        return out

    def _measured(self, windows: Sequence[WindowsOfFrame]) -> list[FrameErrors]:
        return self.measurement.process(windows) if windows else []
