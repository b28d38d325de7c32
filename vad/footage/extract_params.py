"""The section `extract` of params.yaml."""

from vad.footage.pictures import Color
from vad.pipeline.params import Field, Section


class ExtractParams(Section):
    """`extract`: rate, size and colour of the extracted frames."""

    fps: float | None = Field(
        None, gt=0, description="frames per second, resampled by time stamps; `null` keeps every frame"
    )
    max_side: int | None = Field(
        None, ge=16, description="pixels to which the longer side is reduced; `null` keeps the size"
    )
    color: Color = Field(
        "gray",
        description="colour of the frames; gray is full-range luma, for videos and pictures alike",
    )
