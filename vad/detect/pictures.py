"""Scores single pictures."""

from functools import cache

from vad import UserError
from vad.detect.printing import Printer
from vad.detect.records import EventRecord, area_of, peak_box
from vad.detect.source_outputs import SourceOutputs
from vad.footage.decode import Convert
from vad.inputs.files import open_file
from vad.inputs.source import Source
from vad.live import FrameResult, PictureResult, PictureScorer, TrainedModel
from vad.overlay.scored_frame import ScoredFrame, SessionInfo


class SinglePictures:
    """Scores pictures, each by itself.

    Args:
        model: the deployed model.
        printer: prints the results.

    Attributes:
        scored: number of pictures.
        alarmed: number of those that were alarmed.
    """

    def __init__(self, model: TrainedModel, printer: Printer):
        self.scored = self.alarmed = 0
        self._model, self._printer = model, printer
        self._scorer = cache(lambda camera: PictureScorer(model, camera))

    def require(self, source: Source, camera: str) -> None:
        """Refuses a picture that the model cannot score, before anything is computed.

        Raises:
            UserError: as `PictureScorer`.
        """
        try:
            self._scorer(camera)
        except UserError as e:
            raise UserError(f"{source.text}: {e}") from None

    def score(self, source: Source, camera: str, outputs: SourceOutputs) -> None:
        """Scores a picture.

        Args:
            source: the picture.
            camera: name of the camera in training.
            outputs: what is written about it. A picture that is alarmed is an event of one frame.

        Raises:
            UserError: if it cannot be read, the model cannot score single pictures, or an output cannot be
                written.
        """
        scorer: PictureScorer = self._scorer(camera)
        (decoded,) = open_file(source, "rgb", pictures=self._model.pictures).decoded
        pixels = Convert("rgb", None).process(decoded)[0].pixels
        result = scorer.score(pixels)
        self.scored += 1
        self.alarmed += result.alarmed
        info = SessionInfo(
            source=source.text,
            name=source.name,
            camera=camera,
            fps=1.0,
            size=result.size,
            picture_size=(pixels.shape[0], pixels.shape[1]),
            threshold=result.threshold,
            cell=self._model.cell,
            branches=tuple(scorer.branches),
            events=self._model.calibration.params.events,
            zones=self._model.zones.of(camera),
        )
        scored = ScoredFrame(info, _frame_result(result), pixels, event=1 if result.alarmed else None)
        record = _record(scored) if result.alarmed else None
        self._printer.picture(source.text, result, record)
        outputs.frame(scored)
        if record is not None:
            outputs.event(record)
        outputs.end(info)

    def summarize(self) -> None:
        """Says how many pictures were scored, if any."""
        if self.scored:
            s = "s" * (self.scored != 1)
            self._printer.note(f"{self.alarmed} of {self.scored} picture{s} alarmed")


def _frame_result(result: PictureResult) -> FrameResult:
    """The result as that of the only frame of a clip."""
    return FrameResult(
        index=0,
        number=0,
        seconds=0.0,
        score=result.score,
        alarmed=result.alarmed,
        warming_up=False,
        source=0,
        regions=result.regions,
        region_scores=result.region_scores,
        cells=None,
        branch_scores=result.branch_scores,
        branch_errors=result.branch_errors,
        shares=result.shares,
        events=(),
        not_judged=result.not_judged,
    )


def _record(scored: ScoredFrame) -> EventRecord:
    """The record of a picture that is alarmed."""
    info, result = scored.info, scored.result
    box = peak_box(info, result)
    return EventRecord(
        source=info.source,
        camera=info.camera,
        event=1,
        state="end",
        start=0.0,
        end=0.0,
        peak=0.0,
        start_time=None,
        end_time=None,
        peak_time=None,
        start_frame=0,
        end_frame=1,
        peak_frame=0,
        score=result.score,
        threshold=info.threshold,
        shares={name: round(share, 4) for name, share in result.shares.items()},
        box=box,
        where=area_of(box, info.picture_size),
    )
