"""The keys of the section `data` that do not depend on the layout, for stages other than `ingest`."""

from typing import Literal

from pydantic import ConfigDict

from vad.pipeline.params import Field, Section


class SourceParams(Section):
    """`data`: where the footage is. `layouts.base.DataParams` adds the layouts and checks their keys."""

    model_config = ConfigDict(extra="ignore")

    root: str = Field(
        "data/sample",
        min_length=1,
        description="folder with the footage, relative to params.yaml or absolute",
    )
    on_error: Literal["fail", "skip"] = Field(
        "fail",
        description="whether a clip that cannot be read, or is shorter than a window, stops the run, or is "
        "left out and listed in the summary",
    )
    fps: float | None = Field(
        None,
        gt=0,
        description="frames per second of folders of pictures; `null`: that of the layout, 25, or 10 for "
        "`ucsd`",
    )
    bits: int | None = Field(
        None,
        ge=8,
        le=16,
        description="meaningful bits of 16-bit pictures, for example 12; `null`: all 16, and pictures that "
        "are nearly black then are refused",
    )
