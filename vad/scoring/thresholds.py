"""Thresholds: above which score a frame is alarmed. All but the oracle are set by normal footage alone."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import Any, Literal

import numpy as np

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.scoring.events import EventParams, threshold_for


class ThresholdParams(Section):
    """`calibrate.threshold`

    `policy`: `percentile`, so many percent of normal frames lie below; `sigma`, their mean plus so many
    standard deviations; `fixed`, the `value`; `false_alarms`, the lowest with at most `per_hour` events an
    hour of normal footage. Locations always have the `percentile`.
    """

    policy: Literal["percentile", "sigma", "fixed", "false_alarms"]
    percentile: float = Field(gt=0, lt=100)
    sigma: float = Field(ge=0)
    value: float
    per_hour: float = Field(ge=0)

    def active(self) -> dict[str, Any]:
        others = {"sigma": "sigma", "fixed": "value", "false_alarms": "per_hour"}
        return self.model_dump(exclude={key for policy, key in others.items() if policy != self.policy})

    def of(
        self, normal: Sequence[tuple[np.ndarray, float]], events: EventParams, log: Callable[[str], None]
    ) -> float:
        """The threshold for normal clips, (scores [T], frames per second) each.

        Raises UserError if there are too few frames for the percentile.
        """
        scores = np.concatenate([own for own, _ in normal])
        if self.policy == "fixed":
            return self.value
        if self.policy == "sigma":
            return float(scores.mean() + self.sigma * scores.std())
        if self.policy == "percentile":
            if len(scores) < (need := ceil(round(100 / (100 - self.percentile), 6))):
                raise UserError(
                    f"{len(scores)} validation frames cannot tell calibrate.threshold.percentile = "
                    f"{self.percentile:g}, for which {need} are needed; lower it, or hold out more by "
                    "data.val_fraction"
                )
            return float(np.percentile(scores, self.percentile))
        hours = sum(len(own) / fps for own, fps in normal) / 3600
        if hours * self.per_hour < 1:
            log(
                f"{hours:.3g} hours of validation footage cannot show {self.per_hour:g} false alarms per "
                "hour: the threshold is the lowest that leaves none in it"
            )
        return threshold_for(normal, self.per_hour, events)
