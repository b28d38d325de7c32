"""Dense optical flow between neighbouring frames, one module per method.

A method's module has `Params`, its sub-section of params.yaml, and the work function
`flow(stem, frames, params, *, threads)`, which writes one clip: always a card <stem>.json with the key
`method`, and the array where there is any.
"""

from vad.params import Choice


class FlowParams(Choice):
    """`flow`: the method, and a sub-section for each."""

    package = "vad.flow"
    chooser = "method"
    method: str
