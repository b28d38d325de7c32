"""Progress of a training: a bar on a terminal, and a line in the log for each epoch."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm

LINE_INTERVAL = 30.0  # seconds between lines within a long epoch, or of one of several trainings


class Progress:
    """Shows losses, speed and the remaining time.

    Args:
        log: writes a line of text.
        epochs: maximum number of epochs.
        batches: number of batches of an epoch.
        done: number of epochs finished before this run.
        shows: whether this process shows anything; in a distributed run, only the first does.
        alone: whether no other training runs beside it; otherwise there is no bar, and there are fewer lines.
    """

    def __init__(
        self,
        log: Callable[[str], None],
        epochs: int,
        batches: int,
        done: int,
        shows: bool,
        alone: bool,
    ):
        self._log, self._epochs, self._done, self._shows = log, epochs, done, shows
        self._epoch_lines = alone
        self._start = self._last_line = time.monotonic()
        self._bar = tqdm(
            total=epochs * batches,
            initial=done * batches,
            desc="train",
            unit=" batches",
            leave=False,
            dynamic_ncols=True,
            disable=not (shows and alone and sys.stderr.isatty()),
        )

    def start_epoch(self) -> None:
        """To be called when an epoch begins."""
        if self._epoch_lines:
            self._last_line = time.monotonic()

    def advance(self, batches: int, epoch: int, share: float, loss: float, speed: float) -> None:
        """To be called within an epoch, every few batches.

        Args:
            batches: number of batches since the last call.
            epoch: index of the epoch.
            share: share of the epoch that is done, up to 1.
            loss: mean loss of these batches.
            speed: windows per second.
        """
        self._bar.update(batches)
        self._bar.set_postfix_str(f"loss {loss:.5f}, {speed:.0f} windows/s")
        if self._bar.disable and share < 1 and time.monotonic() - self._last_line > LINE_INTERVAL:
            self._line(epoch, share, f", {share:.0%}: loss {loss:.6f}, {speed:.0f} windows/s")

    def finish_epoch(self, epoch: int, loss: float, val_loss: float, seconds: float, speed: float) -> None:
        """To be called when an epoch has ended, validation included.

        Args:
            epoch: index of the epoch.
            loss: training loss.
            val_loss: validation loss.
            seconds: duration of the epoch.
            speed: windows per second.
        """
        text = f": loss {loss:.6f}, validation {val_loss:.6f}, {seconds:.1f} s, {speed:.0f} windows/s"
        if self._epoch_lines or time.monotonic() - self._last_line > LINE_INTERVAL:
            self._line(epoch, 1.0, text)

    def close(self) -> None:
        """Removes the bar."""
        self._bar.close()

    def _line(self, epoch: int, share: float, text: str) -> None:
        self._last_line = time.monotonic()
        done = epoch + share - self._done
        left = (time.monotonic() - self._start) * (self._epochs - self._done - done) / done
        if self._shows:
            with tqdm.external_write_mode(file=sys.stderr):  # keeps the bar below the line
                self._log(f"epoch {epoch + 1}/{self._epochs}{text}; at most {left:.0f} s left")
