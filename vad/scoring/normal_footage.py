"""How much normal footage there is for the threshold, and what it can vouch for.

Only the manifest is needed, so the stage `ingest` can say so before anything is trained.
"""

from collections import defaultdict
from collections.abc import Sequence

from vad.scoring.evidence import NONE_SEEN, Evidence, count_clips, duration, number, warning
from vad.scoring.params import ThresholdParams
from vad.store.manifest import Clip

MAX_CAMERAS = 10  # that are listed one by one


class NormalFootage:
    """The clips that a threshold is fitted to.

    Args:
        clips: all clips of the manifest; those of the split `val` count, or those of `train` if it has none.
        fps: frames per second to which clips are resampled; None if every frame is kept.

    Attributes:
        clips: number of these clips.
        frames: number of their frames.
        hours: their duration.
    """

    def __init__(self, clips: Sequence[Clip], fps: float | None = None):
        normal = [clip for clip in clips if clip.split == "val"]
        normal = normal or [clip for clip in clips if clip.split == "train"]
        self._cameras: defaultdict[str, list[float]] = defaultdict(list)
        self.clips, self.frames, self.hours = len(normal), 0, 0.0
        for clip in normal:
            hours = (clip.end - clip.first) / clip.fps / 3600
            self._cameras[clip.camera].append(hours)
            self.hours += hours
            self.frames += clip.end - clip.first if fps is None else round(3600 * hours * fps)

    def sentences(self, threshold: ThresholdParams) -> list[str]:
        """How much there is, by camera, and the fewest false alarms per day that it can vouch for.

        Args:
            threshold: the section `calibrate.threshold`.
        """
        parts = [f"{camera}: {_amount(hours)}" for camera, hours in sorted(self._cameras.items())]
        if (more := len(parts) - MAX_CAMERAS) > 1:
            parts[MAX_CAMERAS:] = [f"{more} more cameras"]
        total = _amount([hour for hours in self._cameras.values() for hour in hours])
        cameras = f" ({'; '.join(parts)})" if len(parts) > 1 else ""
        lines = [f"normal footage for the threshold: {total}{cameras}"]
        if threshold.policy == "false_alarms" and self.hours:
            lines.append(
                "without a false alarm in it, this footage vouches for at most "
                f"{number(self._bound)} false alarms per day ({threshold.per_day:g} asked)"
            )
        return lines

    def shortage(self, threshold: ThresholdParams) -> str | None:
        """A sentence that warns of too little footage for the threshold; None if it is enough.

        Args:
            threshold: the section `calibrate.threshold`.
        """
        if self.frames < threshold.required_frames:
            return (
                f"calibrate.threshold.percentile = {threshold.percentile:g} needs "
                f"{threshold.required_frames} normal frames, and there are {self.frames}: lower it, or add "
                "normal clips"
            )
        if threshold.policy != "false_alarms" or not self.hours:
            return None
        # the best that can come of this footage: no false alarm in it
        best = Evidence(
            clips=self.clips,
            hours=self.hours,
            asked_share=None,
            asked_per_day=threshold.per_day,
            left_out=self.clips,
            stretches=self.clips == 1,
            worst="",
            left_out_hours=self.hours,
            high_per_day=self._bound,
        )
        return warning(best)

    @property
    def _bound(self) -> float:
        """The 95 % upper bound of false alarms per day if there is none in this footage."""
        return 24 * NONE_SEEN / self.hours


def _amount(hours: Sequence[float]) -> str:
    return f"{duration(sum(hours))} in {count_clips(len(hours))}"
