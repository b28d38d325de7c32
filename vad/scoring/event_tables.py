"""Tables of events, for files, logs and the summary."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from vad.scoring.items import Event
from vad.scoring.times import clip_time

COLUMNS = ["clip", "from", "to", "start", "end", "start_seconds", "end_seconds", "peak", "score", "branches"]
MAX_LINES = 20  # events listed in a log


def table(
    clip: str, events: Sequence[Event], fps: float, source_frames: np.ndarray, seconds: np.ndarray
) -> pd.DataFrame:
    """The events of a clip as a table, with the columns COLUMNS.

    `start`, `end` and `peak` are indices of source frames, as in labels. `from` and `to` are m:ss.t, rounded
    to tenths of seconds.

    Args:
        clip: name of the clip.
        events: its events, in extracted frames.
        fps: extracted frames per second; an event ends 1 / fps after the time of its last frame.
        source_frames: index of the source frame of each extracted frame, int [T].
        seconds: time of each extracted frame, float [T].
    """
    rows = [
        {
            "clip": clip,
            "from": clip_time(seconds[event.start]),
            "to": clip_time(seconds[event.end - 1] + 1 / fps),
            "start": source_frames[event.start],
            "end": source_frames[event.end - 1] + 1,
            "start_seconds": seconds[event.start],
            "end_seconds": seconds[event.end - 1] + 1 / fps,
            "peak": source_frames[event.peak],
            "score": event.score,
            "branches": ", ".join(f"{name} {share:.0%}" for name, share in event.shares.items()),
        }
        for event in events
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def event_lines(events: pd.DataFrame) -> list[str]:
    """The rows of `table` as lines for a log; beyond MAX_LINES, a line with their number.

    Args:
        events: the result of `table`, of any number of clips.
    """
    lines = [
        f"{event['clip']}: {event['from']} to {event['to']}, score {event['score']:.2f} ({event['branches']})"
        for event in events.head(MAX_LINES).to_dict("records")
    ]
    more = len(events) - MAX_LINES
    return [*lines, f"… and {more} more, in data/scores/events.csv"] if more > 0 else lines
