"""All outputs of a source behind its privacy: the only way by which pictures reach an output."""

from collections.abc import Sequence

from vad.detect.outputs import Output
from vad.detect.records import EventRecord
from vad.overlay.privacy import Privacy, processor
from vad.overlay.scored_frame import ScoredFrame, SessionInfo


class SourceOutputs(Output):
    """Hands scored frames on to outputs: with pictures after the privacy, or at once and without pictures.

    Args:
        outputs: of the source; some may be shared with other sources.
        privacy: what is done to pictures.
    """

    def __init__(self, outputs: Sequence[Output], privacy: Privacy = "none"):
        self._pictures = [output for output in outputs if output.wants_pictures]
        self._others = [output for output in outputs if not output.wants_pictures]
        self._privacy, self._processor = privacy, processor(privacy)
        self._info: SessionInfo | None = None

    @property
    def need_pictures(self) -> bool:
        """Whether scored frames need pictures."""
        return bool(self._pictures)

    def frame(self, scored: ScoredFrame) -> None:
        for output in self._others:
            output.frame(scored._replace(picture=None))
        if not self._pictures:
            return
        if self._info is not None and scored.info != self._info:
            self._flush()  # a later session
        self._info = scored.info
        self._show(self._processor.process(scored))

    def event(self, record: EventRecord) -> None:
        for output in (*self._others, *self._pictures):
            output.event(record)

    def end(self, info: SessionInfo) -> None:
        self._flush()
        for output in (*self._others, *self._pictures):
            output.end(info)

    def close(self, *, complete: bool = True) -> None:
        """Closes the outputs, those of other sources too; all of them, even if one fails."""
        failure: Exception | None = None
        for output in (*self._others, *self._pictures):
            try:
                output.close(complete=complete)
            except Exception as e:
                failure = failure or e
        if failure is not None:
            raise failure

    def _flush(self) -> None:
        self._show(self._processor.finish())
        self._processor = processor(self._privacy)

    def _show(self, scored_frames: Sequence[ScoredFrame]) -> None:
        for scored in scored_frames:
            for output in self._pictures:
                output.frame(scored)
