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
