"""What an output is: where scored frames and events go."""

from typing import ClassVar

from vad.detect.records import EventRecord
from vad.overlay.scored_frame import ScoredFrame, SessionInfo


class Output:
    """Where scored frames and events go. Calls for several sources may come from several threads.

    Attributes:
        wants_pictures: whether scored frames need pictures.
    """

    wants_pictures: ClassVar[bool] = False

    def frame(self, scored: ScoredFrame) -> None:
        """Takes the next scored frame of a source.

        Raises:
            UserError: if it cannot be written.
        """

    def event(self, record: EventRecord) -> None:
        """Takes a record of an event, after the frame that gave rise to it, or before if pictures are late.

        Raises:
            UserError: if it cannot be written.
        """

    def end(self, info: SessionInfo) -> None:
        """Takes note that a source has no more scored frames and events; others may.

        Args:
            info: of the source's session.

        Raises:
            UserError: if it cannot be written.
        """

    def close(self, *, complete: bool = True) -> None:
        """Ends the output; call it also after errors.

        Args:
            complete: whether all scored frames of the sources have come.

        Raises:
            UserError: if it cannot be written.
        """
