"""Runs `vad detect`: finds sources, loads the model, opens outputs, and scores one source after another."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from vad import UserError
from vad.detect.cameras import Camera, Watch
from vad.detect.clips import ClipResult, score_clip
from vad.detect.options import Options, require_possible
from vad.detect.output_file import require_new
from vad.detect.outputs import Output
from vad.detect.pictures import SinglePictures
from vad.detect.printing import Printer
from vad.detect.sessions import choose_camera, known_cameras
from vad.detect.snapshots import SnapshotOutput
from vad.detect.source_outputs import SourceOutputs
from vad.detect.tables import CsvOutput, JsonlOutput
from vad.detect.video import VideoOutput
from vad.inputs.source import Source, find_sources
from vad.live import TrainedModel
from vad.live.deployed_model import load_deployed
from vad.overlay.wording import clip_time
from vad.scoring.evidence import warning
from vad.store.body_heights import OTHER_CAMERAS

OK, FAILED, INTERRUPTED = 0, 2, 130
NAMED = 3  # most videos that are named at the end, each by itself


def detect(options: Options) -> int:
    """Runs the command.

    Args:
        options: of the command line.

    Returns:
        The exit status: 0; 2 if some of several sources failed; 130 if it was interrupted before all files
        were scored.

    Raises:
        UserError: if the options, the model, the only source or an output is wrong.
    """
    sources = find_sources(options.sources, separate_pictures=options.pictures)
    _require_new(options, sources)
    printer = Printer(options.quiet)
    model = load_deployed(options.model)
    for text in [*model.warnings, warning(model.calibration.evidence)]:
        if text:
            printer.note(f"warning: {text}")
    require_possible(options.privacy, model.mode)
    if options.privacy == "blur" and not model.mode.classes:
        printer.note("warning: the model has no detector, so --privacy blur shows people who keep still")
    cameras = _cameras(options, sources, model, printer)
    try:
        with _stop_signals() as stopped:
            return _Run(options, sources, cameras, model, printer, stopped).run()
    finally:
        printer.close()


class _Run:
    """A run over all sources: cameras from the beginning, pictures and clips one after another beside them.

    Args:
        options: of the command line.
        sources: all of them.
        cameras: name of the camera in training of each source.
        model: the deployed model.
        printer: prints results and notes.
        stopped: whether the user wants to stop.
    """

    def __init__(
        self,
        options: Options,
        sources: Sequence[Source],
        cameras: Sequence[str],
        model: TrainedModel,
        printer: Printer,
        stopped: Callable[[], bool],
    ):
        self.options, self.model, self.printer, self.stopped = options, model, printer, stopped
        self.live = [pair for pair in zip(sources, cameras, strict=True) if _is_live(pair[0], options)]
        self.files = [pair for pair in zip(sources, cameras, strict=True) if not _is_live(pair[0], options)]
        self.sources = len(sources)
        self.failed = 0
        self.clips: list[ClipResult] = []
        self._pictures = SinglePictures(model, printer)
        self._shared: list[Output] = []
        self._videos: list[Path] = []  # that are complete

    def run(self) -> int:
        for source, camera in self.files:
            if source.kind == "picture":
                self._pictures.require(source, camera)
        with _closing(self._shared) as completed:
            self._open_shared()
            with self._watch() as watch:
                for source, camera in self.files:
                    if self.stopped():
                        break
                    self._score(source, camera)
                interrupted = bool(self.files) and self.stopped()
                self.failed += watch.wait()
            if not interrupted:
                completed()
        self._summarize()
        if not interrupted and (written := self._written()):
            self.printer.note(f"wrote {', '.join(written)}")
        if interrupted:
            self.printer.note("interrupted: files that are not complete have `.incomplete` in their names")
        return INTERRUPTED if interrupted else FAILED if self.failed else OK

    def _open_shared(self) -> None:
        """Opens the outputs that all sources share, in the order in which they are given."""
        options, shared, overwrite = self.options, self._shared, self.options.overwrite
        if options.csv:
            branches = tuple(self.model.calibration.branches)
            shared.append(CsvOutput(options.csv, branches, live=bool(self.live), overwrite=overwrite))
        if options.jsonl:
            shared.append(JsonlOutput(options.jsonl, live=bool(self.live), overwrite=overwrite))
        if options.snapshots:
            shared.append(SnapshotOutput(options.snapshots, overwrite=overwrite))

    def _score(self, source: Source, camera: str) -> None:
        """Scores a file; an error does not keep others from being scored."""
        try:
            if source.kind == "picture":
                self._pictures.score(source, camera, self._all([]))
                return
            with _closing(video := self._video(source)) as completed:
                result = score_clip(
                    source, camera, self.model, self._all(video), self.options, self.printer, self.stopped
                )
                self.clips.append(result)
                if result.complete:
                    completed()
            if result.complete:
                self._videos += self._video_paths(source)
        except UserError as e:
            text = str(e) if source.text in str(e) else f"{source.text}: {e}"
            if self.sources == 1:
                raise UserError(text) from None
            self.failed += 1
            self.printer.error(text)

    @contextmanager
    def _watch(self) -> Iterator[Watch]:
        """Watches the cameras."""
        cameras: list[Camera] = []
        videos: list[Output] = []
        with _closing(videos) as completed:
            for source, name in self.live:
                videos += (video := self._video(source))
                cameras.append(Camera(source, name, self._all(video)))
            alone = not self.files
            with Watch(cameras, self.model, self.options, self.printer, self.stopped, alone=alone) as watch:
                yield watch
            completed()
        for source, _ in self.live:
            self._videos += self._video_paths(source)

    def _all(self, video: Sequence[Output]) -> SourceOutputs:
        return SourceOutputs([*self._shared, *video], self.options.privacy)

    def _video(self, source: Source) -> list[Output]:
        """The video with overlays, if one is wanted."""
        live, overwrite = _is_live(source, self.options), self.options.overwrite
        return [VideoOutput(path, live=live, overwrite=overwrite) for path in self._video_paths(source)]

    def _video_paths(self, source: Source) -> list[Path]:
        """The path of the video with overlays, if one is wanted."""
        video = self.options.video
        return [] if video is None else [video_path(video, source, self.sources)]

    def _summarize(self) -> None:
        """Says how much was scored, and how many events it had."""
        if self.clips:
            count, events = len(self.clips), sum(clip.events for clip in self.clips)
            cut = "" if all(clip.complete for clip in self.clips) else ", the last one cut off"
            seconds = sum(clip.seconds for clip in self.clips)
            self.printer.note(
                f"{events} event{'s' * (events != 1)} in {count} clip{'s' * (count != 1)}, "
                f"{clip_time(seconds)} of footage{cut}"
            )
        self._pictures.summarize()

    def _written(self) -> list[str]:
        """The files that were written, as the user named them."""
        videos = [path for path in self._videos if path.exists()]  # a camera may have had no frame
        if len(videos) > NAMED:
            out = [f"{len(videos)} videos in {videos[0].parent}"]
        else:
            out = [str(path) for path in videos]
        out += [str(path) for path in (self.options.csv, self.options.jsonl) if path is not None]
        for output in self._shared:
            if isinstance(output, SnapshotOutput) and (number := output.pictures):
                out.append(f"{number} picture{'s' * (number != 1)} in {output.folder}")
        return out


def video_path(path: Path, source: Source, sources: int) -> Path:
    """Path of the video of a source: the path given, or below it if there are several sources.

    Args:
        path: as the user gave it.
        source: the source.
        sources: number of all sources.
    """
    return path / f"{source.name}.mp4" if sources > 1 or path.is_dir() else path


def _is_live(source: Source, options: Options) -> bool:
    return source.is_live or (options.realtime and source.kind == "video")


def _require_new(options: Options, sources: Sequence[Source]) -> None:
    """Checks, before the model is loaded, that no file is in the way.

    Raises:
        UserError: naming the file, or two outputs that are the same.
    """
    files = [path for path in (options.csv, options.jsonl) if path is not None]
    if options.video is not None:
        if all(source.kind == "picture" for source in sources):
            raise UserError("--video: a picture has no video; --snapshots DIR keeps alarmed pictures")
        if options.video.is_file() and len(sources) > 1:
            raise UserError(
                f"--video {options.video}: is a file; name a folder, as there are several sources"
            )
        moving = [source for source in sources if source.kind != "picture"]
        files += [video_path(options.video, source, len(sources)) for source in moving]
    for i, path in enumerate(files):
        if path in files[:i]:
            raise UserError(f"{path}: is named for two outputs; name another file for one")
        if options.model.resolve() in path.resolve().parents:
            raise UserError(f"{path}: lies in the folder of the model; name another file")
        inputs = [source.address for source in sources if isinstance(source.address, Path)]
        require_new(path, overwrite=options.overwrite, inputs=inputs)


def _cameras(options: Options, sources: Sequence[Source], model: TrainedModel, printer: Printer) -> list[str]:
    """The names of the cameras in training, one for each source.

    Raises:
        UserError: if names are too many, too few or unknown.
    """
    given: list[str | None] = [*options.camera]
    if len(given) > 1 and len(given) != len(sources):
        raise UserError(
            f"--camera is given {len(given)} times for {len(sources)} sources: give it once, or for each"
        )
    names = given if len(given) == len(sources) else (given or [None]) * len(sources)
    cameras = [choose_camera(model, *pair) for pair in zip(sources, names, strict=True)]
    if (unnamed := cameras.count(OTHER_CAMERAS)) and (known := known_cameras(model)):
        printer.note(
            f"no camera of the model ({', '.join(known)}) is named for {unnamed} of {len(sources)} sources: "
            "they are scored by what it learned from all of them; --camera names one"
        )
    return cameras


@contextmanager
def _closing(outputs: Sequence[Output]) -> Iterator[Callable[[], None]]:
    """Closes outputs at the end, each even if another fails; yields what to call once they are complete."""
    complete: list[bool] = []
    try:
        yield lambda: complete.append(True)
    finally:
        with ExitStack() as stack:
            for output in outputs:
                stack.callback(output.close, complete=bool(complete))


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Turns Ctrl-C, `kill` and the end of the terminal into a wish to stop; the second one stops at once."""
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    # Windows has no SIGHUP
    numbers = [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, handle)
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
