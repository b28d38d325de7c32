"""A session: a trained model at work on one camera."""

import math
from collections import deque
from collections.abc import Sequence

import cv2

from vad import UserError
from vad.branches.frame_measurement import FrameMeasurement
from vad.footage.decode import Convert, Decoded, Resample
from vad.live.trained_model import TrainedModel
from vad.scoring.events import Events, branch_shares
from vad.scoring.items import EventUpdate, FrameResult, FrameScores
from vad.scoring.scorer import Scorer
from vad.stream import Frame, FrameErrors, Processor
from vad.stream.gaps import Gaps
from vad.windows.spec import TensorSpec


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
        camera: name of the camera, which selects body heights, statistics and calibration; an unknown camera
            gets those for other cameras.
        live: whether frames come from a camera. The first `warm_up` frames, from which the background is
            learned, then get no motion, and are marked as `warming_up`. Otherwise their results come
            together, once all of them have been fed, and are those of the first frames of a clip in the
            pipeline.
        concurrent: whether flow runs in a thread, and in mode `person_crop` background subtraction and
            detector in another.
        max_side: length in pixels to which the longer side of frames is reduced, below `extract.max_side`;
            None for that alone.

    Raises:
        UserError: if the rate is not above 0, or the camera has no calibration of its own.

    Attributes:
        fps: frames per second after resampling.
        lookahead: frames, after resampling, that results look ahead.
        warm_up: number of frames from which the background is learned.
        max_side: length in pixels to which the longer side of frames is reduced; None keeps the size.
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
        max_side: int | None = None,
    ):
        if not (math.isfinite(fps) and fps > 0):
            raise UserError(f"fps = {fps}: a rate above 0 is expected, in frames per second")
        model.calibration.require_camera(camera)
        self._model, self._camera, self._live, self._concurrent = model, camera, live, concurrent
        self.fps = model.extract.fps or fps
        self.lookahead = model.lookahead(self.fps)
        self.warm_up = model.mode.warm_up(self.fps)
        self._resample = Resample(model.extract.fps)
        sides = [side for side in (max_side, model.extract.max_side) if side is not None]
        self.max_side = min(sides, default=None)
        self._convert = Convert(model.extract.color, self.max_side)
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

    def poll(self) -> list[FrameResult]:
        """Takes results that threads have finished since the last call, for low latency between frames."""
        return self._scoring.poll() if self._scoring is not None and not self._finished else []

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
        cv2.setNumThreads(1)  # the work is divided by processors, and small pictures gain nothing
        self._measuring = FrameMeasurement(
            model.flow,
            model.mode,
            TensorSpec.of(model.resize, model.window.at(fps)),
            model.branches,
            model.cell,
            shape=shape,
            fps=fps,
            camera=camera,
            body_height=model.body_heights.of(camera, shape[0]),
            zones=model.zones.of(camera),
            skip_warm_up=skip_warm_up,
            concurrent=concurrent,
        )
        measurement = self._measuring.measurement
        calibration, size = model.calibration, (shape[0], shape[1])
        calibration.require([*measurement.columns, *measurement.maps])
        learned = [name for name, learns in measurement.learned.items() if learns]
        self._scorer = Scorer(calibration, size, model.cell, fps, camera, learned=learned, cells=True)
        self._events = Events(calibration.threshold, fps, calibration.params.events, calibration.branches)
        self.final_updates: Sequence[EventUpdate] = ()
        self._branches = calibration.branches
        self._warm_up = model.mode.warm_up(fps) if skip_warm_up else 0
        self._without_scores: deque[Frame] = deque()

    def process(self, item: Frame) -> list[FrameResult]:
        """Takes the next frame.

        Raises:
            UserError: if its size differs from that of the first frame.
        """
        errors = self._measuring.process(item)
        self._without_scores.append(item)
        return self._scored(errors)

    def poll(self) -> list[FrameResult]:
        return self._scored(self._measuring.poll())

    def finish(self) -> list[FrameResult]:
        out = self._scored(self._measuring.finish())
        out += self._results(self._scorer.finish())
        self.final_updates = self._events.finish()
        return out

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
            not_judged=item.not_judged,
            contributions=item.contributions,
        )
