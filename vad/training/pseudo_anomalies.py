"""Pseudo-anomalies: windows altered so that they are no longer normal, made of normal footage alone.

An autoencoder that only ever saw normal windows may reproduce everything. Shown altered ones that it must
turn back into normal ones, or must not reproduce, it cannot.

| kind | what is altered |
|---|---|
| skip_frame | frames lie further apart, so everything is faster (Astrid et al., BMVC 2021 and ICCVW 2021) |
| jitter | flow is multiplied, so everything is faster |
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import field_validator, model_validator

from vad import UserError
from vad.pipeline.params import Field, Section
from vad.windows.dataset import Windows
from vad.windows.planes import FLOW, STILL


class PseudoParams(Section):
    """`train.pseudo`

    `share` of the windows of a batch are altered. `goal`: `restore` wants the unaltered window of them
    (LNTRA), `repel` wants them reproduced badly, their loss counts negatively (STEAL; keep `share` small).
    `steps`: the distances of frames that skip_frame draws from; `factors`: the range of jitter's factor.
    """

    kind: Literal["none", "skip_frame", "jitter"]
    goal: Literal["restore", "repel"]
    share: float = Field(ge=0, le=1)
    steps: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)]
    factors: Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]

    @model_validator(mode="after")
    def _mostly_normal(self) -> "PseudoParams":
        if self.kind != "none" and self.goal == "repel" and self.share >= 0.5:
            raise ValueError("goal repel would outweigh what is normal; set share below 0.5, such as 0.01")
        return self

    @field_validator("factors")
    @classmethod
    def _rising(cls, factors: list[float]) -> list[float]:
        if factors[0] > factors[1]:
            raise ValueError("the first must not exceed the second")
        return factors


def need(params: PseudoParams, channels: list[str], window: int) -> None:
    """Raises UserError if windows of these channels or planes cannot be altered so."""
    if params.kind == "jitter" and not {"flow", *FLOW} & set(channels):
        raise UserError("train.pseudo.kind = 'jitter' alters flow; put flow into resize.channels")
    if params.kind == "skip_frame" and window < 2:
        raise UserError("train.pseudo.kind = 'skip_frame' needs a model with windows of at least 2 frames")


def alter(
    clean: np.ndarray, indices: np.ndarray, windows: Windows, params: PseudoParams, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(what is shown, float32 (B, C, T, h, w) with 0 to 1 for normal windows; which are altered, bool [B]).

    `clean` holds the windows `indices` of `windows`, uint8. Jittered flow may leave [0, 1].
    """
    shown = clean.astype(np.float32) / 255
    altered = rng.random(len(clean)) < params.share
    rows = np.flatnonzero(altered)
    if params.kind == "skip_frame":
        shown[rows] = windows.skipping(indices[rows], rng.choice(params.steps, len(rows))) / np.float32(255)
    else:
        factors = rng.uniform(*params.factors, len(rows)).astype(np.float32)[:, None, None, None]
        still = np.float32(STILL / 255)
        for plane in (windows.channels.index(name) for name in FLOW):
            shown[rows, plane] = still + factors * (shown[rows, plane] - still)
    return shown, altered
