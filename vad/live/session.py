"""A session: a trained model at work on one camera."""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from vad import UserError
from vad.branches.base import ClipFormat, TensorShape
from vad.branches.measurement import Measurement
from vad.footage.decode import Convert, Decoded, Resample
from vad.live.trained_model import TrainedModel
from vad.resize.channels import Sources
from vad.resize.cutter import Cutter
from vad.scoring.events import Events, branch_shares
from vad.scoring.items import EventUpdate, FrameScores
from vad.scoring.scorer import Scorer
from vad.stream import Frame, FrameErrors, Observation, Processor, Regions, WindowsOfFrame
from vad.stream.gaps import Gaps
from vad.stream.processor import Threaded
from vad.windows.spec import TensorSpec


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The result of a session for a frame.

    Attributes:
        index: of the frame in the session, from 0, after resampling.
        number: index of the frame in its source.
        seconds: time since the first frame of the source.
        score: smoothed score of all branches; higher is more anomalous.
        alarmed: whether the score is above the threshold.
        warming_up: whether the background is still being learned, so that there is no motion.
        source: index of the frame whose regions these are; with `resize.stride` 1 its own.
        regions: those regions, N of them.
        region_scores: float64 [N].
        cells: scores of the cells, float32 [rows, columns].
        branch_scores: smoothed score of each branch alone.
        branch_errors: error of the frame by branch, before standardisation.
        shares: share of each branch in the score, the largest first; empty if no branch is above 0.
        events: updates of events: they begin, grow and end. Their frames are counted as `index`.
    """

    index: int
    number: int
    seconds: float
    score: float
    alarmed: bool
    warming_up: bool
    source: int
    regions: Regions
    region_scores: np.ndarray
    cells: np.ndarray | None
    branch_scores: Mapping[str, float]
    branch_errors: Mapping[str, float]
    shares: Mapping[str, float]
    events: Sequence[EventUpdate]


class Session(Processor[Decoded, FrameResult]):
    """Feeds the frames of one camera through all processors of a model.

        session = Session(model, fps=25.0, camera="hall", live=True)
        for decoded in frames:
            for result in session.process(decoded): ...
        for result in session.finish(): ...

    A result comes `lookahead` frames after its frame; with `concurrent`, threads add two frames at the pace
    of a camera, and at most eight when frames come faster than they are handled. Memory does not grow with
    the number of frames. All frames must have the same size.

    OpenCV and torch are set to one thread in the whole process: the work is divided by processors.

    Args:
        model: the trained model.
        fps: frames per second of the source; with `extract.fps`, frames are resampled to that rate instead.
        camera: name of the camera, for calibration by camera.
        live: whether frames come from a camera. The first `warm_up` frames, from which the background is
            learned, then get no motion, and are marked as `warming_up`. Otherwise their results come
            together, once all of them have been fed, and are those of the first frames of a clip in the
            pipeline.
        concurrent: whether flow runs in a thread, and in mode `person_crop` background subtraction and
            detector in another.

    Raises:
        UserError: if the rate is not above 0, or the camera has no calibration of its own.

    Attributes:
        fps: frames per second after resampling.
        lookahead: frames, after resampling, that results look ahead.
        warm_up: number of frames from which the background is learned.
        final_updates: after `finish`, the end of the event that was not over, if there was one.
    """

    def __init__(
        self,
        model: TrainedModel,
        *,
        fps: float,
        camera: str = "",
        live: bool = False,
        concurrent: bool = True,
    ):
        if not (math.isfinite(fps) and fps > 0):
            raise UserError(f"fps = {fps}: a rate above 0 is expected, in frames per second")
        if model.calibration.without_footage([camera] if camera else []):
            known = ", ".join(name for name in model.calibration.standardisation if name)
            raise UserError(
                f"camera {camera!r} has no calibration (calibrate.per_camera; known: {known}); leave the "
                "camera out to use that of all cameras"
            )
        self._model, self._camera, self._live, self._concurrent = model, camera, live, concurrent
        self.fps = model.extract.fps or fps
        self.lookahead = model.lookahead(self.fps)
        self.warm_up = model.mode.warm_up(self.fps)
        self._resample = Resample(model.extract.fps)
        self._convert = Convert(model.extract.color, model.extract.max_side)
        self._gaps = Gaps(self.fps)
        self.final_updates: Sequence[EventUpdate] = ()
        self._finished = False
        self._scoring: Scoring | None = None  # made for the size of the first frame

    @property
    def delay(self) -> float:
        """Seconds that results look ahead, by which they come later than their frames."""
        return self.lookahead / self.fps

    def process(self, item: Decoded) -> list[FrameResult]:
        """Takes the next frame of the camera.

        Args:
            item: the frame. Where times go back, resampling begins anew.

        Raises:
            UserError: if its size differs from that of the first frame, its time is not a number, or the
                model does not fit it.
        """
        if self._finished:
            raise RuntimeError("the session has ended; open another")
        if not math.isfinite(item.seconds):
            raise UserError(f"frame {item.number}: its time is {item.seconds} seconds")
        return [result for decoded in self._resample.process(item) for result in self._resampled(decoded)]

    def finish(self) -> list[FrameResult]:
        if self._finished:
            return []
        self._finished = True
        out = [result for decoded in self._resample.finish() for result in self._resampled(decoded)]
        if self._scoring is not None:
            out += self._scoring.finish()
            self.final_updates = self._scoring.final_updates
        return out

    def _resampled(self, decoded: Decoded) -> list[FrameResult]:
        # neither of the two processors waits for further frames
        (converted,) = self._convert.process(decoded)
        (frame,) = self._gaps.process(converted)
        if self._scoring is None:
            self._scoring = Scoring(
                self._model,
                frame.pixels.shape,
                fps=self.fps,
                camera=self._camera,
                skip_warm_up=self._live and self.warm_up > 0,
                concurrent=self._concurrent,
            )
        return self._scoring.process(frame)


class Scoring(Processor[Frame, FrameResult]):
    """The processors of a session behind decoding, for frames of one size.

    Each has its own lookahead, so what belongs to a frame waits in a queue until the rest has come.

    Args:
        model: the trained model.
        shape: of a frame, (height, width) or (height, width, 3).
        fps: frames per second.
        camera: name of the camera.
        skip_warm_up: whether the frames from which the background is learned get no motion.
        concurrent: whether the heavy processors run in threads.

    Attributes:
        final_updates: as that of the session.
    """

    def __init__(
        self,
        model: TrainedModel,
        shape: tuple[int, ...],
        *,
        fps: float,
        camera: str,
        skip_warm_up: bool,
        concurrent: bool,
    ):
        self._shape = shape
        height, width = size = shape[0], shape[1]
        cv2.setNumThreads(1)  # the work is divided by processors, and small pictures gain nothing
        flow = model.flow.processor(height, width)
        self._flow = Threaded(flow) if concurrent else flow
        self._regions = model.mode.processor(
            height,
            width,
            fps,
            flow_scale=model.flow.scale,
            concurrent=concurrent,
            skip_warm_up=skip_warm_up,
        )
        color: Literal["gray", "rgb"] = "gray" if len(shape) == 2 else "rgb"
        sources = Sources(
            height=height,
            width=width,
            color=color,
            picture=model.mode.picture,
            flow=model.flow.scale is not None,
            silhouettes=model.mode.picture != ("frame",),
        )
        spec = TensorSpec.of(model.resize, model.window.at(fps))
        self._cutter = Cutter(spec, sources)
        clip = ClipFormat(
            frame=size,
            cell=model.cell,
            tensor=TensorShape(spec.height, spec.width, spec.fit),
            flow_scale=model.flow.scale,
            classes=len(self._regions.classes) or None,
            planes=tuple(self._cutter.names),
            frames=spec.window.frames,
        )
        self._measurement = Measurement(model.branches, clip, threads=1)
        calibration = model.calibration
        calibration.require([*self._measurement.columns, *self._measurement.maps])
        learned = [name for name, learns in self._measurement.learned.items() if learns]
        self._scorer = Scorer(calibration, size, model.cell, fps, camera, learned=learned, cells=True)
        self._events = Events(calibration.threshold, fps, calibration.params.events, calibration.branches)
        self.final_updates: Sequence[EventUpdate] = ()
        self._branches = calibration.branches
        self._warm_up = model.mode.warm_up(fps) if skip_warm_up else 0
        # frames that wait for their flow, then frames with flow that wait for their regions, then those that
        # wait for their scores
        self._without_flow: deque[Frame] = deque()
        self._without_regions: deque[tuple[Frame, np.ndarray | None]] = deque()
        self._without_scores: deque[Frame] = deque()

    def process(self, item: Frame) -> list[FrameResult]:
        """Takes the next frame.

        Raises:
            UserError: if its size differs from that of the first frame.
        """
        if item.pixels.shape != self._shape:
            (height, width), (h, w) = item.pixels.shape[:2], self._shape[:2]
            raise UserError(f"frame {item.number} has {width}x{height} pixels, the first frame {w}x{h}")
        self._without_flow.append(item)
        return self._with_flow(self._flow.process(item))

    def finish(self) -> list[FrameResult]:
        # in the order of the data: what a processor still owes goes through all processors behind it
        out = self._with_flow(self._flow.finish())
        out += self._with_regions(self._regions.rest())
        out += self._measured(self._cutter.finish())
        out += self._scored(self._measurement.finish())
        out += self._results(self._scorer.finish())
        self.final_updates = self._events.finish()
        return out

    def _with_flow(self, flows: Sequence[np.ndarray | None]) -> list[FrameResult]:
        out: list[FrameResult] = []
        for flow in flows:
            frame = self._without_flow.popleft()
            self._without_regions.append((frame, flow))
            # shown to the cutter at once, so that windows and regions look ahead at the same time
            out += self._measured(self._cutter.preview(frame, flow))
            out += self._with_regions(self._regions.stream((frame, flow)))
        return out

    def _with_regions(self, found: Iterable[Regions]) -> list[FrameResult]:
        out: list[FrameResult] = []
        for regions in found:
            frame, flow = self._without_regions.popleft()
            self._without_scores.append(frame)
            out += self._measured(self._cutter.process(Observation(frame, flow, regions)))
        return out

    def _measured(self, windows: Sequence[WindowsOfFrame]) -> list[FrameResult]:
        return self._scored(self._measurement.process(windows)) if windows else []

    def _scored(self, errors: Sequence[FrameErrors]) -> list[FrameResult]:
        return [result for item in errors for result in self._results(self._scorer.process(item))]

    def _results(self, scored: Sequence[FrameScores]) -> list[FrameResult]:
        return [self._result(item, self._without_scores.popleft()) for item in scored]

    def _result(self, item: FrameScores, frame: Frame) -> FrameResult:
        return FrameResult(
            index=item.index,
            number=frame.number,
            seconds=frame.seconds,
            score=item.score,
            alarmed=item.alarmed,
            warming_up=item.index < self._warm_up,
            source=item.source,
            regions=item.regions,
            region_scores=item.region_scores,
            cells=item.cells,
            branch_scores=item.branches,
            branch_errors=item.errors,
            shares=branch_shares(item.branches, self._branches),
            events=self._events.process(item),
        )
