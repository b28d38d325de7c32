"""Scores clips: videos and folders of pictures, as the pipeline scores them."""

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

from vad.detect.options import Options
from vad.detect.printing import Printer
from vad.detect.sessions import open_scorer
from vad.detect.source_outputs import SourceOutputs
from vad.inputs.files import open_file
from vad.inputs.source import Source
from vad.live import TrainedModel


class ClipResult(NamedTuple):
    """What came of scoring a clip.

    Attributes:
        seconds: of footage that were scored.
        events: number of events.
        complete: whether all of it was scored.
    """

    seconds: float
    events: int
    complete: bool


def score_clip(
    source: Source,
    camera: str,
    model: TrainedModel,
    outputs: SourceOutputs,
    options: Options,
    printer: Printer,
    stopped: Callable[[], bool],
) -> ClipResult:
    """Scores a clip.

    Args:
        source: a video or a folder of pictures.
        camera: name of the camera in training.
        model: the deployed model.
        outputs: what is written about it.
        options: of the command.
        printer: shows events and progress.
        stopped: whether the user wants to stop.

    Raises:
        UserError: if the clip cannot be read, the model does not fit it, or an output cannot be written.
    """
    opened = open_file(source, model.extract.color, pictures=model.pictures)
    first = next(opened.decoded)
    scorer, note = open_scorer(
        model, source, camera, opened.fps, first, outputs, printer.event, live=False, most=options.fps
    )
    if note:
        printer.note(f"{source.text}: {note}")
    frames, complete = 0, True
    printer.begin(source.text, opened.frames)
    try:
        for decoded in chain([first], opened.decoded):
            if stopped():
                complete = False
                break
            scorer.process(decoded)
            frames += 1
            printer.advance()
        scorer.finish()
    finally:
        printer.end()
    return ClipResult(frames / opened.fps, scorer.events, complete)
