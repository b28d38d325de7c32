"""The keys of the section `data` that every stage needs that opens footage, whatever the layout."""

from typing import Literal

from pydantic import ConfigDict

from vad.pipeline.params import Field, Section


class SourceParams(Section):
    """`data`: where the footage lies. The keys of layouts are left to `layouts.base.DataParams`."""

    model_config = ConfigDict(extra="ignore")

    root: str = Field(
        "data/sample",
        min_length=1,
        description="folder with the footage, relative to params.yaml or absolute",
    )
    on_error: Literal["fail", "skip"] = Field(
        "fail",
        description="a clip that cannot be read stops the run, or is left out and listed in the summary",
    )
