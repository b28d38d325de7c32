"""Pseudo-anomalies: normal windows that are altered so that they are no longer normal.

An autoencoder trained only on normal windows may learn to reproduce anything, anomalies included. Training
with pseudo-anomalies prevents this.

| kind | alteration |
|---|---|
| skip_frame | frames lie further apart, so motion is faster (Astrid et al., BMVC 2021 and ICCVW 2021) |
| jitter | flow is multiplied by a factor, so motion is faster |

`train.pseudo.goal` is `restore` (reconstruct the normal window; LNTRA, Astrid et al., BMVC 2021) or `repel`
(maximise the loss of the altered window; STEAL, Astrid et al., ICCVW 2021).
"""

from typing import NamedTuple

import numpy as np

from vad.training.params import PseudoParams
from vad.windows.dataset import Windows
from vad.windows.planes import FLOW, STILL_INPUT, WHITE


class Altered(NamedTuple):
    """A batch of which some windows are pseudo-anomalies.

    Attributes:
        inputs: float32 (B, C, T, h, w), in [0, 1] except for jittered flow.
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
        indices: their indices in `windows`, int [B].
        windows: all windows of the split.
        params: the kind of pseudo-anomalies, which must not be `none`, and their share.
        rng: generator of random numbers.
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
