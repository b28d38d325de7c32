"""What an output is: where scored frames and events go."""

from typing import ClassVar

from vad.detect.records import EventRecord
from vad.detect.shot import Origin, Shot


class Output:
    """Where shots and events go. Calls for several sources may come from several threads.

    Attributes:
        wants_pictures: whether shots need pictures.
    """

    wants_pictures: ClassVar[bool] = False

    def frame(self, shot: Shot) -> None:
        """Takes the next shot of a source.

        Raises:
            UserError: if it cannot be written.
        """

    def event(self, record: EventRecord) -> None:
        """Takes a record of an event, after the shot that gave rise to it, or before if pictures are late.

        Raises:
            UserError: if it cannot be written.
        """

    def end(self, origin: Origin) -> None:
        """Takes note that a source has no more shots and events; others may.

        Args:
            origin: that of the source's shots.

        Raises:
            UserError: if it cannot be written.
        """

    def close(self, *, complete: bool = True) -> None:
        """Ends the output; call it also after errors.

        Args:
            complete: whether all shots of the sources have come.

        Raises:
            UserError: if it cannot be written.
        """
