"""The sections `branches` and `measure` of params.yaml."""

from typing import ClassVar

from vad.branches.base import BRANCHES, Branch
from vad.pipeline.params import Field, Section, Subsections
from vad.pipeline.registry import Registry


class BranchesParams(Subsections):
    """`branches`: a sub-section for each source of error."""

    registry: ClassVar[Registry[Branch]] = BRANCHES


class MeasureParams(Section):
    """`measure`"""

    cell: int = Field(8, ge=1, le=64, description="pixels of the frame per cell of a map, each way")
