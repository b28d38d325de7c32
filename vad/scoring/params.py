"""The section `calibrate` of params.yaml: from errors to scores, thresholds and events."""

from typing import Annotated, Any, Literal

from pydantic import field_validator

from vad.pipeline.params import Field, Section


class SmoothParams(Section):
    """`calibrate.smooth`: scores over time. First the median, then the gaussian."""

    median: int = Field(
        15,
        ge=1,
        le=1001,
        description="frames of the median, which drops peaks shorter than half of it; 1 is off",
    )
    gaussian: float = Field(
        2.0, ge=0, le=1000, description="standard deviation of the gaussian that follows, in frames; 0 is off"
    )
    causal: bool = Field(False, description="whether the headline scores do without frames ahead")


class ThresholdParams(Section):
    """`calibrate.threshold`: set by normal validation frames alone."""

    policy: Literal["percentile", "sigma", "fixed", "false_alarms"] = Field(
        "percentile",
        description="`percentile` of normal frames; `sigma`, their mean plus some standard deviations; "
        "`fixed`; or `false_alarms`, the lowest with at most `per_hour` events per hour of normal footage",
    )
    percentile: float = Field(
        99.0, gt=0, lt=100, description="percent of normal frames below the threshold; cells always use it"
    )
    deviations: float = Field(3.0, ge=0, description="standard deviations above the mean, for sigma")
    value: float = Field(1.0, description="the threshold, for fixed")
    per_hour: float = Field(1.0, ge=0, description="most events per hour of normal footage, for false_alarms")

    def active(self) -> dict[str, Any]:
        others = {"sigma": "deviations", "fixed": "value", "false_alarms": "per_hour"}
        return self.model_dump(exclude={key for policy, key in others.items() if policy != self.policy})


class EventParams(Section):
    """`calibrate.events`: how alarmed frames become events."""

    merge_gap: float = Field(1.0, ge=0, description="seconds; alarms at most so far apart are one event")
    min_duration: float = Field(0.0, ge=0, description="seconds; shorter events are dropped, gaps included")


class CalibrateParams(Section):
    """`calibrate`"""

    branches: Literal["all"] | Annotated[list[str], Field(min_length=1)] = Field(
        "all", description="the error branches that are fused: `all`, or a list such as `[flow, speed]`"
    )
    aggregate: Literal["region", "cell", "track"] = Field(
        "cell",
        description="what a frame's error is made from: its regions, its cells, or its regions smoothed "
        "along their tracks; branches that only have maps always use cells",
    )
    error_sigma: float = Field(
        2.0,
        ge=0,
        le=100,
        description="frames; gaussian over the errors of a cell or track, before the maximum",
    )
    pool: Literal["max", "mean_top"] = Field(
        "max", description="a frame's error is the highest of these, or the mean of the `top_k` highest"
    )
    top_k: int = Field(
        3, ge=1, description="for mean_top; a frame with fewer regions has the mean of those it has"
    )
    normalisation: Literal["quantile", "z_score"] = Field(
        "quantile",
        description="how errors are standardised on normal frames: `quantile`, median -> 0 and 95th "
        "percentile -> 1; `z_score`, mean -> 0 and a standard deviation above it -> 1",
    )
    per_camera: bool = Field(False, description="standardise each camera on its own normal frames")
    grid: Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(max_length=2)] = Field(
        [],
        description="[rows, columns] of areas of the picture; errors are first divided by the area's gain, "
        "the 95th percentile of its normal errors relative to that of the whole picture; `[]` is off",
    )
    fuse: Literal["sum", "max"] = Field("sum", description="a score is the sum or the maximum over branches")
    smooth: SmoothParams = SmoothParams()
    threshold: ThresholdParams = ThresholdParams()
    events: EventParams = EventParams()

    @field_validator("grid")
    @classmethod
    def _rows_and_columns(cls, grid: list[int]) -> list[int]:
        if len(grid) == 1:
            raise ValueError("give [rows, columns], or [] for none")
        return grid

    @field_validator("branches")
    @classmethod
    def _each_once(cls, branches: str | list[str]) -> str | list[str]:
        if branches != "all" and len(set(branches)) < len(branches):
            raise ValueError("name each branch once")
        return branches

    @property
    def highest(self) -> int:
        """How many errors a frame's error is the mean of."""
        return 1 if self.pool == "max" else self.top_k
