"""The section `validate` of params.yaml: how much footage is altered, and how."""

from typing import Annotated, Literal

from pydantic import field_validator

from vad.pipeline.params import Field, Section

Kind = Literal["sped_up", "reversed", "spliced", "pasted"]


class ValidateParams(Section):
    """`validate`"""

    seconds: float = Field(
        100.0,
        ge=0,
        le=100_000,
        description="footage that is scored for the check at most, with the unaltered parts around each "
        "stretch; 0 is off",
    )
    stretch: float = Field(2.0, gt=0, le=60, description="seconds; length of an altered stretch")
    kinds: Annotated[list[Kind], Field(min_length=1)] = Field(
        ["sped_up", "reversed", "spliced", "pasted"],
        description="alterations: played faster, played backwards, pieces of other times, a thing pasted in",
    )
    seed: int = Field(0, ge=0, description="seed of the random numbers by which stretches are chosen")

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: list[Kind]) -> list[Kind]:
        if len(set(kinds)) < len(kinds):
            raise ValueError("name each kind once")
        return kinds
