"""All outputs of a source behind its privacy: the only way by which pictures reach an output."""

from collections.abc import Sequence

from vad.detect.outputs import Output
from vad.detect.privacy import Privacy, processor
from vad.detect.records import EventRecord
from vad.detect.shot import Origin, Shot


class AllOutputs(Output):
    """Hands shots on to outputs: with pictures after the privacy, otherwise at once and without pictures.

    Args:
        outputs: of the source; some may be shared with other sources.
        privacy: what is done to pictures.
    """

    def __init__(self, outputs: Sequence[Output], privacy: Privacy = "none"):
        self._pictures = [output for output in outputs if output.wants_pictures]
        self._others = [output for output in outputs if not output.wants_pictures]
        self._privacy, self._processor = privacy, processor(privacy)
        self._origin: Origin | None = None

    @property
    def need_pictures(self) -> bool:
        """Whether shots need pictures."""
        return bool(self._pictures)

    def frame(self, shot: Shot) -> None:
        for output in self._others:
            output.frame(shot._replace(picture=None))
        if not self._pictures:
            return
        if self._origin is not None and shot.origin != self._origin:
            self._flush()  # a later session
        self._origin = shot.origin
        self._show(self._processor.process(shot))

    def event(self, record: EventRecord) -> None:
        for output in (*self._others, *self._pictures):
            output.event(record)

    def end(self, origin: Origin) -> None:
        self._flush()
        for output in (*self._others, *self._pictures):
            output.end(origin)

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

    def _show(self, shots: Sequence[Shot]) -> None:
        for shot in shots:
            for output in self._pictures:
                output.frame(shot)
