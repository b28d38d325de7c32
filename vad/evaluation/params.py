"""The section `evaluate` of params.yaml."""

from vad.pipeline.params import Field, Section


class EvaluateParams(Section):
    """`evaluate`"""

    identity: str = Field(
        "data/identity.csv",
        min_length=1,
        description="CSV file that assigns clips and tracks to persons",
    )
    seed: int = Field(0, ge=0, lt=2**32, description="seed of the random scorer and of the bootstrap")
    resamples: int = Field(
        1000, ge=100, le=100_000, description="resamples of the clips, for confidence intervals by bootstrap"
    )
    max_delay: float = Field(
        1.0,
        ge=0,
        description="seconds; an event is on time if it starts at most this long before or after the start "
        "of a labelled event",
    )
    mask_percentile: float = Field(
        95.0,
        gt=0,
        lt=100,
        description="percentile of the scores of a frame's pixels, the threshold of the dynamic mask",
    )
    pictures: int = Field(
        36,
        ge=1,
        description="maximum number of clips with a score curve and a heat map: those with the highest "
        "scores and the worst mistakes; if there are more clips, `strips.png` shows all",
    )
