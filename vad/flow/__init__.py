"""Dense optical flow between neighbouring frames, a module per method.

Imports `pipeline`, `store` and `stream`; only `compute`, the work function, needs pandas.
"""

from vad.flow.base import FLOW_METHODS, FlowMethod, FlowParams, open_flow, require_flow

__all__ = ["FLOW_METHODS", "FlowMethod", "FlowParams", "open_flow", "require_flow"]
