"""Watches cameras, each in a thread of its own, so that none holds up another."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vad import UserError
from vad.detect.options import Options
from vad.detect.printing import CameraState, Printer
from vad.detect.sessions import open_scorer
from vad.detect.source_outputs import SourceOutputs
from vad.detect.source_scorer import SourceScorer
from vad.inputs.source import Source
from vad.inputs.stream import Arrival, Stream
from vad.live import TrainedModel
from vad.overlay.wording import clip_time

WAIT = 0.25  # seconds for the next frame, after which a stop is noticed
POLL = 0.005  # seconds between looks at results while frames are in work
IN_WORK = 1.0  # seconds after a frame during which its results may become ready
LONGEST_BREAK = 10.0  # seconds without frames, after which the scene may have changed and all begins anew
STATE_EVERY = 1.0  # seconds
LEAVE = 5.0  # seconds that a camera may take to end
TOO_SLOW = 0.1  # share of frames that are dropped, from which the computer is said to be too slow
MEASURED = 250  # frames after which that is judged
WRONG_RATE = 1.3  # factor by which a rate that was measured at first may be off


@dataclass(frozen=True)
class Camera:
    """A source that is watched.

    Attributes:
        source: its address.
        name: of the camera in training.
        outputs: what is written about it; they are not closed here.
    """

    source: Source
    name: str
    outputs: SourceOutputs


class Watch:
    """Watches cameras, each in a thread of its own; a context manager, which stops them at the end.

        with Watch(cameras, model, options, printer, stopped) as watch:
            failed = watch.wait()

    Args:
        cameras: the cameras; there may be none.
        model: the deployed model, which they share.
        options: of the command.
        printer: prints events, states and notes.
        stopped: whether the user wants to stop.
        alone: whether there is nothing else to do, so that it is an error if the only camera fails.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        model: TrainedModel,
        options: Options,
        printer: Printer,
        stopped: Callable[[], bool],
        *,
        alone: bool,
    ):
        self._printer, self._left = printer, threading.Event()
        self._alone = alone and len(cameras) == 1
        self._watchers = [Watcher(camera, model, options, printer, alone=self._alone) for camera in cameras]
        stop = lambda: stopped() or self._left.is_set()  # noqa: E731
        self._threads = [threading.Thread(target=w.run, args=(stop,), daemon=True) for w in self._watchers]
        for thread in self._threads:
            thread.start()

    def wait(self) -> int:
        """Waits until all cameras have ended or the user stops.

        Returns:
            The number of cameras that failed.

        Raises:
            UserError: if the only camera fails.
        """
        while any(thread.is_alive() for thread in self._threads):
            time.sleep(WAIT)
            self._printer.states([w.state for w in self._watchers])
            self._raise_bugs()
        self._raise_bugs()
        errors = [w.error for w in self._watchers if w.error is not None]
        if errors and self._alone:
            raise errors[0]
        return len(errors)

    def _raise_bugs(self) -> None:
        for watcher in self._watchers:
            if watcher.error is not None and not isinstance(watcher.error, UserError):
                raise watcher.error

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        for thread in self._threads:
            thread.join(LEAVE)


class Watcher:
    """Watches a camera.

    Args:
        camera: the camera.
        model: the deployed model.
        options: of the command.
        printer: prints events and notes.
        alone: whether it is the only camera, so that it is an error if it cannot be opened at all; one of
            several is tried again and again.

    Attributes:
        state: how it is doing.
        error: because of which it ended; None if there was none.
    """

    def __init__(
        self, camera: Camera, model: TrainedModel, options: Options, printer: Printer, *, alone: bool
    ):
        self.state = CameraState(camera.source.text, "opening")
        self.error: Exception | None = None
        self._camera, self._model, self._options = camera, model, options
        self._printer, self._alone = printer, alone
        self._scorer: SourceScorer | None = None
        self._size = (0, 0)  # width and height of the frames
        self._rate = 0.0  # of the session, in frames per second
        self._begun = 0  # number of frames before the session
        self._taken = 0  # number of frames
        # when the first and the latest frame came, by time.monotonic; before the first, when the run began
        self._first = self._latest = time.monotonic()
        self._said = ""  # state that was last said
        self._too_slow = False  # whether that was said
        self._events = 0  # in earlier sessions
        self._counted = (0.0, 0)  # when results were last counted, and how many there were

    def run(self, stopped: Callable[[], bool]) -> None:
        """Watches until the camera ends, the time is over or the user stops; keeps an error in `error`."""
        try:
            with Stream(self._camera.source, open_timeout=self._options.open_timeout) as stream:
                while not (stopped() or stream.ended or self._is_over()):
                    in_work = self._scorer is not None and time.monotonic() - self._latest < IN_WORK
                    if (arrival := stream.read(POLL if in_work else WAIT)) is not None:
                        self._take(arrival, stream)
                    elif self._scorer is not None:
                        self._scorer.poll()
                        if time.monotonic() - self._latest > LONGEST_BREAK:
                            self._end_session()
                    self._report_state(stream)
                if not self._taken and not stopped():
                    raise UserError(stream.reason or "no frame came")
            self._end_session()
            if self._taken:
                self._note(self._summary(stream))
        except UserError as e:
            self.error = UserError(f"{self._camera.source.text}: {e}")
            if not self._alone:
                self._printer.error(str(self.error))
        except Exception as e:
            self.error = e
        finally:
            self.state = CameraState(self._camera.source.text, "ended")

    def _is_over(self) -> bool:
        seconds = self._options.seconds
        return seconds is not None and time.monotonic() - self._first >= seconds

    def _take(self, arrival: Arrival, stream: Stream) -> None:
        """Feeds a frame."""
        frame = arrival.decoded.frame
        size = (frame.width, frame.height)
        if size != self._size or self._has_wrong_rate(stream.fps):
            self._end_session()
        if self._scorer is None:
            if stream.fps is None:
                return  # not yet measured
            self._begin_session(arrival, stream.fps)
        assert self._scorer is not None
        if not self._taken:
            self._first = arrival.monotonic
        self._taken, self._latest = self._taken + 1, arrival.monotonic
        self._scorer.process(arrival.decoded, arrival.at, arrival.monotonic)

    def _begin_session(self, arrival: Arrival, fps: float) -> None:
        camera, frame = self._camera, arrival.decoded.frame
        self._size = (frame.width, frame.height)
        self._rate, self._begun = fps, self._taken
        self._scorer, note = open_scorer(
            self._model,
            camera.source,
            camera.name,
            fps,
            arrival.decoded,
            camera.outputs,
            self._printer.event,
            live=True,
            most=self._options.fps,
            events=self._events,
        )
        session = self._scorer.session
        text = f"{frame.width}x{frame.height} at {fps:.4g} frames per second; scores come "
        text += f"{session.delay:.1f} s after their frames"
        if session.warm_up:
            seconds = session.warm_up / session.fps
            text += f"; the background is learned for {seconds:.0f} s, in which nothing moves for the model"
        self._note(text)
        if note:
            self._note(note)

    def _has_wrong_rate(self, fps: float | None) -> bool:
        """Whether the camera turned out to have another rate than it had seemed; asked once per session."""
        if self._scorer is None or fps is None or self._taken != self._begun + MEASURED:
            return False
        return not 1 / WRONG_RATE < fps / self._rate < WRONG_RATE

    def _end_session(self) -> None:
        if self._scorer is not None:
            self._scorer.finish()
            self._events = self._scorer.events
            self._scorer = None

    def _report_state(self, stream: Stream) -> None:
        """Says what has changed, and renews the state."""
        if stream.ended:
            if not stream.received:
                raise UserError(stream.reason)
            return
        if stream.state != self._said:
            self._said = stream.state
            if stream.state == "down":
                if self._alone and not stream.received:
                    raise UserError(stream.reason)
                self._note(f"down: {stream.reason}; it is tried again and again")
            elif stream.state == "stale":
                self._note("no frames come")
            elif stream.state == "live" and stream.reconnects:
                self._note("live again")
        now, scorer = time.monotonic(), self._scorer
        seconds, results = now - self._counted[0], scorer.results if scorer else 0
        if seconds < STATE_EVERY and stream.state == self.state.state:
            return
        self.state = CameraState(
            self._camera.source.text,
            stream.state,
            fps=max(0, results - self._counted[1]) / seconds,
            delay=scorer.delay if scorer else None,
            dropped=stream.dropped,
            reconnects=stream.reconnects,
            warming_up=scorer is not None and scorer.latest is not None and scorer.latest.warming_up,
            score=scorer.latest.score if scorer and scorer.latest else None,
        )
        self._counted = (now, results)
        if not self._too_slow and self._taken >= MEASURED and stream.dropped > TOO_SLOW * stream.received:
            self._too_slow = True
            dropped = stream.dropped / stream.received
            rate = max(1, int((1 - dropped) * (stream.fps or 1)))
            self._note(
                f"this computer is too slow for all frames and drops {100 * dropped:.0f} %; --fps {rate} is "
                "a rate that it can keep up with"
            )

    def _summary(self, stream: Stream) -> str:
        """How long the camera was watched, and what came of it."""
        s = "s" * (self._events != 1)
        text = f"{self._events} event{s} in {clip_time(self._latest - self._first)}"
        return f"{text}, {self._taken} of {stream.received} frames scored"

    def _note(self, text: str) -> None:
        self._printer.note(f"{self._camera.source.text}: {text}")
