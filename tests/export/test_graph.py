"""The graph of a deployed model gives what the networks give."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
import pytest

from tests.export.networks import PLANES, configurations, networks
from vad import UserError
from vad.branches.base import ClipFormat, TensorShape
from vad.branches.ensemble import mean, processors
from vad.branches.graph import Graph
from vad.branches.network import Reduce, ReductionParams
from vad.branches.reconstruction import Reconstruction
from vad.export.graph import graph_and_network_errors, write_graph
from vad.store.body_heights import BodyHeight
from vad.stream import Observation, Regions, WindowsOfFrame

ROOT = Path(__file__).resolve().parents[2]
CONFIGURATIONS = configurations()
CLOSE = {"rtol": 1e-4, "atol": 1e-6}  # float32, summed in another order
BATCHES = (1, 2, 7)


def windows(n: int, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Windows of noise, of which the first is black."""
    out = np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)
    out[0] = 0
    return out


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_model_gives_the_same_errors_as_a_graph_for_any_number_of_windows(tmp_path, name):
    of_folds = networks(*CONFIGURATIONS[name])
    write_graph(path := tmp_path / "errors.onnx", of_folds)
    graph, first = Graph(path), of_folds[0]
    assert (graph.branches, graph.planes) == (list(first.branches), list(first.planes))
    assert graph.single_frame == list(first.model.single_frame)
    assert graph.shape == tuple(first.shape)
    for n in BATCHES:
        given = windows(n, first.shape, seed=n)
        each = [network.measure(given, pixels=True) for network in of_folds]
        measured = graph.measure(given, pixels=True)
        for branch in first.branches:
            expected = np.mean([part.errors[branch] for part in each], 0)
            assert (measured.errors[branch].dtype, measured.errors[branch].shape) == (np.float32, (n,))
            np.testing.assert_allclose(measured.errors[branch], expected, **CLOSE)
            of_pixels = np.concatenate([part.pixels[branch] for part in each])
            assert measured.pixels[branch].shape == (2, n, 32, 32)
            np.testing.assert_allclose(measured.pixels[branch], of_pixels, **CLOSE)
        alone = graph.measure(given, pixels=False)
        assert not alone.pixels
        for branch, values in alone.errors.items():
            np.testing.assert_array_equal(values, measured.errors[branch])


@pytest.mark.parametrize("how", get_args(Reduce))
@pytest.mark.parametrize("model", ["cube", "conv2d"])
def test_every_reduction_gives_the_same_errors_as_a_graph(tmp_path, model, how):
    reductions = ReductionParams(reduce=how, reduce_flow=how, top_share=0.1, patch=5)
    of_folds = networks(model, {}, reductions, folds=3)
    write_graph(path := tmp_path / "errors.onnx", of_folds)
    graph = Graph(path)
    for n in BATCHES:
        given = windows(n, of_folds[0].shape)
        judged = np.random.default_rng(n).random((n, 32, 32)) < 0.5
        for of_pixels in (None, judged):
            measured = graph.measure(given, pixels=False, judged=of_pixels).errors
            each = [network.measure(given, pixels=False, judged=of_pixels).errors for network in of_folds]
            for branch, values in mean(each).items():
                np.testing.assert_allclose(measured[branch], values, **CLOSE)
        of_graph, of_networks = graph_and_network_errors(path, of_folds, given)
        assert list(of_graph) == list(of_networks) == list(of_folds[0].branches)
        for branch, values in of_graph.items():
            np.testing.assert_array_equal(values, graph.measure(given, pixels=False).errors[branch])


def frame(rng: np.random.Generator, shape: tuple[int, ...], boxes: np.ndarray) -> WindowsOfFrame:
    n = len(boxes)
    regions = Regions(boxes, np.arange(n), np.full(n, "motion"), np.ones(n, np.float32))
    planes, frames, *size = shape
    pictures = rng.integers(0, 256, (n, frames, planes, *size), np.uint8)
    observation = Observation(None, None, regions)
    return WindowsOfFrame(0, observation, 0, regions, tuple(map(tuple, pictures)), None)


@pytest.mark.parametrize("boxes", [[], [[0, 0, 40, 32]], [[0, 0, 24, 32], [8, 4, 40, 30], [10, 8, 20, 20]]])
def test_maps_of_overlapping_windows_are_the_mean_of_the_maps_of_folds(tmp_path, boxes):
    """Not the maps of mean errors, as a cell has the highest error of the windows that overlap there."""
    params = Reconstruction.Params(maps=True)
    of_folds = networks("cube", {}, params, folds=3)
    write_graph(path := tmp_path / "errors.onnx", of_folds)
    form = ClipFormat(
        frame=(32, 40),
        cell=8,
        tensor=TensorShape(32, 32, "stretch"),
        fps=10.0,
        body_height=BodyHeight.default(32),
        planes=PLANES,
        frames=of_folds[0].shape[1],
    )
    members = []
    for network in of_folds:
        members.append(Reconstruction(params))
        members[-1].network = network
    deployed = Reconstruction(params)
    deployed.open(Graph(path), tmp_path)
    item = frame(np.random.default_rng(0), of_folds[0].shape, np.array(boxes, np.int32).reshape(-1, 4))
    ((_, of_members),) = processors(members, form)
    ((_, of_graph),) = processors([deployed], form)
    (expected,), (measured,) = of_members.process([item]), of_graph.process([item])
    assert of_graph.columns == of_members.columns
    for name in expected.maps:
        assert measured.maps[name].dtype == np.float16
        np.testing.assert_allclose(measured.maps[name], expected.maps[name], rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(measured.errors[name], expected.errors[name], **CLOSE)


WRITE = """
import sys
from pathlib import Path
import torch
from tests.export.networks import networks
from vad.export.graph import write_graph
torch.set_num_threads(1)
of_folds = networks(sys.argv[3], {})
torch.set_num_threads(int(sys.argv[2]))
write_graph(Path(sys.argv[1]) / "errors.onnx", of_folds)
"""


@pytest.mark.parametrize("model", ["cube", "memae"])
def test_the_same_networks_give_the_same_bytes_which_say_nothing_of_this_machine(tmp_path, model):
    written = []
    for folder, threads in (("a", "1"), ("elsewhere", "2")):
        (tmp_path / folder).mkdir()
        command = [sys.executable, "-c", WRITE, str(tmp_path / folder), threads, model]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout + done.stderr == ""  # no warnings of the exporter either
        written.append((tmp_path / folder / "errors.onnx").read_bytes())
    assert written[0] == written[1]
    for text in (str(ROOT), str(Path.home()), "/tmp", ".py", "torch", "site-packages"):
        assert text.encode() not in written[0], text
    model_proto = onnx.load_from_string(written[0])
    assert [entry.key for entry in model_proto.metadata_props] == ["planes", "single_frame"]
    assert not any(node.doc_string or node.metadata_props for node in model_proto.graph.node)


def test_windows_of_another_shape_are_refused(tmp_path):
    of_folds = networks("dense", {})
    write_graph(path := tmp_path / "errors.onnx", of_folds)
    with pytest.raises(UserError, match=r"made for windows of 3x2x32x32 .*, these are 3x2x32x16"):
        Graph(path).measure(np.zeros((1, 3, 2, 32, 16), np.uint8), pixels=False)


@pytest.mark.parametrize("content", [None, b"", b"junk"])
def test_files_that_are_no_graph_are_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "errors.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"errors\.onnx: "):
        Graph(tmp_path / "errors.onnx")


def test_another_graph_is_refused(tmp_path):
    write_graph(path := tmp_path / "errors.onnx", networks("dense", {}))
    other = onnx.load(path)
    del other.metadata_props[:]
    onnx.save(other, path)
    with pytest.raises(UserError, match=r"errors\.onnx: not the graph of a deployed model"):
        Graph(path)
