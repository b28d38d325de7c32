"""Writes the networks of all folds as one ONNX graph, and compares it with them."""

import json
import warnings
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from vad.branches.ensemble import mean
from vad.branches.graph import JUDGED, PIXELS, PLANES, SINGLE_FRAME, WINDOWS, Graph
from vad.branches.window_errors import WindowErrors
from vad.models.layers import UpConv2d

OPSET = 20  # the first with GELU as an operator of its own
EXAMPLES = 3  # windows with which the graph is traced; any number above 1
IGNORED = "aten::contiguous"  # the layout of a tensor in memory, which ONNX does not have
BATCH = "batch"


class MeanErrors(nn.Module):
    """The networks of all folds in one: the mean of their errors, and the errors of pixels of each.

    Args:
        networks: one per fold, in eval mode, with the same branches.
    """

    def __init__(self, networks: Sequence[WindowErrors]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, windows: Tensor, judged: Tensor) -> tuple[Tensor, ...]:
        """Computes the outputs of the graph.

        Args:
            windows: uint8 (B, C, T, h, w).
            judged: the pixels that count, bool (B, h, w).

        Returns:
            The errors by branch, float32 (B), then those of pixels by branch, (folds, B, h, w).
        """
        errors, pixels = zip(*(network(windows, judged) for network in self.networks), strict=True)
        means = [_mean(parts) for parts in zip(*errors, strict=True)]
        return *means, *(torch.stack(parts) for parts in zip(*pixels, strict=True))


def _mean(parts: Sequence[Tensor]) -> Tensor:
    """The mean as `vad.branches.ensemble.mean` computes it: a sum in this order, then a product."""
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total * (1 / len(parts)) if len(parts) > 1 else total


def write_graph(path: Path, networks: Sequence[WindowErrors]) -> None:
    """Writes the graph that `vad.branches.graph.Graph` reads. The same networks give the same bytes.

    Args:
        path: of the file, which is replaced.
        networks: one per fold, in eval mode.
    """
    first = networks[0]
    names = [*first.branches, *(PIXELS + name for name in first.branches)]
    axes = {WINDOWS: {0: BATCH}, JUDGED: {0: BATCH}} | {
        name: {int(name.startswith(PIXELS)): BATCH} for name in names
    }
    windows = torch.zeros((EXAMPLES, *first.shape), dtype=torch.uint8)
    judged = torch.ones((EXAMPLES, *first.shape[2:]), dtype=torch.bool)
    torch.onnx.register_custom_op_symbolic(IGNORED, lambda g, x, memory_format: x, OPSET)
    try:
        with warnings.catch_warnings(), torch.inference_mode():
            # the exporter by tracing is deprecated, but takes a second where the other takes 11; and it warns
            # of sizes that it takes for constant, as all sizes but that of the batch are
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _folded(deepcopy(MeanErrors(networks).eval())),
                (windows, judged),
                str(path),
                dynamo=False,
                opset_version=OPSET,
                input_names=[WINDOWS, JUDGED],
                output_names=names,
                dynamic_axes=axes,
            )
    finally:
        torch.onnx.unregister_custom_op_symbolic(IGNORED, OPSET)
    model = onnx.load(path)
    _strip(model)
    for key, listed in ((PLANES, first.planes), (SINGLE_FRAME, first.single_frame)):
        model.metadata_props.add(key=key, value=json.dumps(list(listed)))
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def _folded(module: nn.Module) -> nn.Module:
    """Replaces layers whose weights are computed from others, of which ONNX would not know the shape."""
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, UpConv2d):
                setattr(parent, name, child.folded())
    return module


def _strip(model: onnx.ModelProto) -> None:
    """Removes what says where and with what the graph was made, such as paths of source files."""
    model.producer_name = model.producer_version = model.doc_string = model.graph.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.doc_string = ""
        del value.metadata_props[:]


def graph_and_network_errors(
    path: Path, networks: Sequence[WindowErrors], windows: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Measures windows with the graph and, as the stages do, with the networks.

    Args:
        path: the graph.
        networks: one per fold.
        windows: uint8 [N, C, T, h, w].

    Returns:
        Errors by branch, float32 [N], of the graph and of the networks.
    """
    graph = Graph(path).measure(windows, pixels=False).errors
    return dict(graph), mean([network.measure(windows, pixels=False).errors for network in networks])
