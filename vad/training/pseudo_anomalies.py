"""Pseudo-anomalies: windows altered so that they are no longer normal, made of normal footage alone.

An autoencoder trained on normal windows alone may reproduce everything. If it has to turn altered windows
back into normal windows, or must not reproduce them, it cannot.

| kind | what is altered |
|---|---|
| skip_frame | frames lie further apart, so everything is faster (Astrid et al., BMVC 2021 and ICCVW 2021) |
| jitter | flow is multiplied by a factor, so everything is faster |

`train.pseudo.goal`: Astrid et al. restore the normal window (LNTRA, BMVC), or maximise the loss of the
altered window (STEAL, ICCVW).
"""

from typing import NamedTuple

import numpy as np

from vad.training.params import PseudoParams
from vad.windows.dataset import Windows
from vad.windows.planes import FLOW, STILL_INPUT, WHITE


class Altered(NamedTuple):
    """A batch of which some windows are pseudo-anomalies.

    Attributes:
        inputs: float32 (B, C, T, h, w), in [0, 1] but for jittered flow.
        altered: which windows are pseudo-anomalies, bool [B].
    """

    inputs: np.ndarray
    altered: np.ndarray


def alter(
    normal: np.ndarray,
    indices: np.ndarray,
    windows: Windows,
    params: PseudoParams,
    rng: np.random.Generator,
) -> Altered:
    """Turns a random share of a batch into pseudo-anomalies.

    Args:
        normal: the batch, uint8 (B, C, T, h, w).
        indices: its numbers in `windows`, int [B].
        windows: all windows of the split.
        params: the kind of pseudo-anomalies, not `none`, and their share.
        rng: source of random numbers.
    """
    inputs = normal.astype(np.float32) / WHITE
    altered = rng.random(len(normal)) < params.share
    rows = np.flatnonzero(altered)
    if params.kind == "skip_frame":
        steps = rng.choice(params.steps, len(rows))
        inputs[rows] = windows.skipping(indices[rows], steps) / np.float32(WHITE)
    else:
        low, high = params.factors
        factors = rng.uniform(low, high, len(rows)).astype(np.float32)[:, None, None, None]
        still = np.float32(STILL_INPUT)
        for plane in (windows.channels.index(name) for name in FLOW):
            inputs[rows, plane] = still + factors * (inputs[rows, plane] - still)
    return Altered(inputs, altered)
