"""The section `calibrate` of params.yaml: from errors to scores, thresholds and events."""

from math import ceil
from typing import Annotated, Any, Literal

from pydantic import field_validator

from vad.pipeline.params import Field, Section


class SmoothParams(Section):
    """`calibrate.smooth`: smoothing of scores over time, first by a median, then by a gaussian."""

    median: float = Field(
        1.2,
        ge=0,
        le=10,
        description="seconds; length of the median, which drops peaks shorter than half of it; rounded to an "
        "odd number of frames; 0 is off",
    )
    gaussian: float = Field(
        0.2, ge=0, le=10, description="seconds; standard deviation of the gaussian after it; 0 is off"
    )


class ThresholdParams(Section):
    """`calibrate.threshold`: the alarm threshold, set on normal footage only."""

    policy: Literal["false_alarms", "percentile", "sigma", "fixed"] = Field(
        "false_alarms",
        description="`false_alarms`, the lowest threshold with at most `per_day` events per day of normal "
        "footage or, where the footage is too short to count so few, with a single event in all of it; "
        "`percentile` of the scores of normal frames; `sigma`, their mean plus `deviations` "
        "standard deviations; `fixed`, the number `value`",
    )
    per_day: float = Field(
        1.0,
        ge=0,
        description="false_alarms: events per day and camera, since a day of normal footage is a day of one "
        "camera, whichever it is",
    )
    percentile: float = Field(
        99.0,
        gt=0,
        lt=100,
        description="percentage of normal frames below the threshold; always used for scores of cells and of "
        "single pictures",
    )
    deviations: float = Field(3.0, ge=0, description="sigma: standard deviations above the mean")
    value: float = Field(1.0, description="fixed: the threshold")

    @property
    def required_frames(self) -> int:
        """Number of normal frames without which there is no threshold: one must lie above the percentile."""
        return ceil(round(100 / (100 - self.percentile), 6)) if self.policy == "percentile" else 1

    def active(self) -> dict[str, Any]:
        others = {"sigma": "deviations", "fixed": "value", "false_alarms": "per_day"}
        return self.model_dump(exclude={key for policy, key in others.items() if policy != self.policy})


class EventParams(Section):
    """`calibrate.events`: how alarmed frames become events."""

    merge_gap: float = Field(
        1.0, ge=0, description="seconds; alarms separated by at most this gap are merged into an event"
    )
    min_duration: float = Field(
        0.0, ge=0, description="seconds; events shorter than this, merged gaps included, are dropped"
    )


class CalibrateParams(Section):
    """`calibrate`"""

    branches: Literal["all"] | Annotated[list[str], Field(min_length=1)] = Field(
        "all", description="the error branches that are fused: `all`, or a list, for example `[flow, speed]`"
    )
    aggregate: Literal["region", "cell", "track"] = Field(
        "cell",
        description="the errors that are pooled to the error of a frame: those of its regions, of its "
        "cells, or of its regions smoothed along their tracks; branches with maps only always use cells",
    )
    error_sigma: float = Field(
        0.2,
        ge=0,
        le=10,
        description="seconds; standard deviation of a gaussian over the errors of each cell or track, before "
        "they are pooled; 0 is off",
    )
    pool: Literal["max", "mean_top"] = Field(
        "max", description="the error of a frame: the highest of these errors, or the mean of the highest"
    )
    top_k: int = Field(
        3, ge=1, description="mean_top: number of errors in the mean; all, if a frame has fewer regions"
    )
    normalisation: Literal["tail", "quantile", "z_score"] = Field(
        "tail",
        description="standardisation of errors on normal frames: `tail`, -log10 of twice the share of normal "
        "frames with a higher error, with a fitted tail; `quantile`, a line through median -> 0 and 95th "
        "percentile -> 1; `z_score`, through mean -> 0 and mean plus standard deviation -> 1",
    )
    per_camera: bool = Field(False, description="standardise each camera on the normal frames it filmed")
    grid: Annotated[list[Annotated[int, Field(ge=1, le=64)]], Field(max_length=2)] = Field(
        [],
        description="[rows, columns] of areas of the picture with separate gains: errors are divided by the "
        "gain, the 95th percentile of the area's normal errors relative to that of the picture, nearer to 1 "
        "the less footage the area has; `[]` is off",
    )
    border_gain: bool = Field(
        True,
        description="divide errors of regions at the border of the frame, where people are cut off, by how "
        "much higher they are in normal footage than those of other regions (ratio of 95th percentiles, from "
        "1 to 3)",
    )
    fuse: Literal["sum", "max"] = Field(
        "sum",
        description="a score is the sum or the maximum of the standardised errors of the branches. With "
        "`tail`, alarms of the maximum are the union of alarms of single branches, before smoothing, each "
        "with the same share of false alarms",
    )
    smooth: SmoothParams = SmoothParams()
    lookahead: float | None = Field(
        None,
        ge=0,
        description="seconds that the smoothing of errors and scores may look ahead in all, rounded to "
        "frames, by which live scores come later; null: no limit, 0: none",
    )
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
    def pooled_count(self) -> int:
        """Number of errors whose mean is the error of a frame."""
        return 1 if self.pool == "max" else self.top_k
