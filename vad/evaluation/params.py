"""The section `evaluate` of params.yaml."""

from vad.pipeline.params import Field, Section


class EvaluateParams(Section):
    """`evaluate`"""

    identity: str = Field(
        "data/identity.csv",
        min_length=1,
        description="CSV file that says which clips and tracks belong to whom",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="of the random scorer and of the confidence intervals")
    resamples: int = Field(
        1000, ge=100, le=100_000, description="of clips, for confidence intervals by bootstrap"
    )
    max_delay: float = Field(
        1.0, ge=0, description="seconds around the start of a labelled event within which an event is on time"
    )
    mask_percentile: float = Field(
        95.0, gt=0, lt=100, description="percentile of a frame's cells above which the dynamic mask is"
    )
