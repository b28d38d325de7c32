"""The section `compute` of params.yaml."""

from typing import Annotated, Literal

from vad.pipeline.params import Field, Section


class ComputeParams(Section):
    """`compute`: processes and cache. Changes no result, so no stage depends on it."""

    workers: Literal["auto"] | Annotated[int, Field(ge=1)] = Field(
        "auto", description="processes that work on clips and folds; `auto`: as many as cores"
    )
    cache_gb: float = Field(20.0, ge=0, description="limit of .cache/clips, in GB")
