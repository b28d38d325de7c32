"""The frames of a window, and the position of a box in a tensor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.windows.tensors import tensor_spec
from vad import UserError
from vad.pipeline.params import load
from vad.windows.planes import STILL, STILL_INPUT, WHITE
from vad.windows.spec import ModelName, ResizeParams, TensorSpec, WindowParams, WindowSpec, placement


@pytest.mark.parametrize(
    ("changed", "offsets"),
    [
        ({"frames": 1}, [0]),
        ({"frames": 3}, [-1, 0, 1]),
        ({"frames": 4}, [-1, 0, 1, 2]),  # an even window looks further ahead
        ({"frames": 3, "step": 4}, [-4, 0, 4]),
        ({"frames": 3, "step": 2, "position": "last"}, [-4, -2, 0]),
    ],
)
def test_offsets_are_relative_to_the_frame_of_the_window(changed, offsets):
    assert WindowSpec(**changed).offsets().tolist() == offsets


@given(st.integers(1, 256), st.integers(1, 64), st.sampled_from(["middle", "last"]))
def test_a_window_is_read_from_a_card_as_written(frames, step, position):
    spec = WindowSpec(frames=frames, step=step, position=position)
    assert spec.to_card() == {"window": frames, "step": step, "position": position}
    assert WindowSpec.from_card(spec.to_card()) == spec


def test_the_number_of_frames_of_a_window_is_required():
    with pytest.raises(UserError, match=r"model\.cube\.window\.frames is missing"):
        load("model.cube.window", WindowParams, {"model": {"cube": {"window": {"frame_interval": 0.2}}}})


def test_the_distance_between_frames_in_frames_is_no_longer_a_parameter():
    with pytest.raises(UserError, match=r"step: is now model\.cube\.window\.frame_interval \(seconds"):
        load("model.cube.window", WindowParams, {"model": {"cube": {"window": {"frames": 3, "step": 2}}}})


@pytest.mark.parametrize(
    ("seconds", "fps", "step"),
    [
        *((0.19, fps, step) for fps, step in [(9, 2), (10, 2), (12.5, 2), (15, 3), (25, 5), (29.97, 6)]),
        (0.0, 25.0, 1),  # consecutive frames
        (0.3, 1.0, 1),
        (0.2, 12.5, 3),  # halves up
        (0.58, 25.0, 15),  # 14.499999999999998 in floating point
        (60.0, 30.0, 1800),
    ],
)
def test_the_interval_is_rounded_to_frames_of_the_clip(seconds, fps, step):
    window = WindowParams(frames=3, frame_interval=seconds, position="last")
    assert window.at(fps) == WindowSpec(frames=3, step=step, position="last")


@given(st.floats(0, 60), st.floats(0.1, 240))
def test_frames_are_as_far_apart_as_whole_frames_allow(seconds, fps):
    step = WindowParams(frames=2, frame_interval=seconds).at(fps).step
    assert step == 1 or abs(step / fps - seconds) <= (0.5 + 1e-5) / fps


def test_the_name_of_a_model_is_read_without_its_sub_sections():
    assert load("model", ModelName, {"model": {"name": "unet", "unet": {"no": "matter"}}}).name == "unet"


def test_a_tensor_is_specified_by_resize_and_a_window():
    resize, window = ResizeParams(height=24, fit="letterbox"), WindowSpec(frames=5)
    spec = TensorSpec.of(resize, window)
    assert spec.window == window
    assert spec.model_dump(exclude={"window"}) == resize.model_dump()


@pytest.mark.parametrize(
    ("channels", "color", "planes"),
    [
        (["picture"], "gray", ["gray"]),
        (["picture", "flow"], "rgb", ["red", "green", "blue", "flow_x", "flow_y"]),
        (["flow", "gray", "difference"], "rgb", ["flow_x", "flow_y", "gray", "difference"]),
    ],
)
def test_names_of_planes_follow_the_channels(channels, color, planes):
    assert ResizeParams(channels=channels).planes(color) == planes


def test_the_input_value_of_no_motion_is_128_of_255():
    assert STILL_INPUT == STILL / WHITE == 128 / 255


@given(st.integers(1, 500), st.integers(1, 500), st.integers(8, 64), st.integers(8, 64))
def test_a_letterboxed_box_fills_one_side_and_lies_in_the_middle(w, h, width, height):
    assert placement(w, h, tensor_spec(height, width)) == (0, 0, width, height)
    left, top, wide, high = placement(w, h, tensor_spec(height, width, fit="letterbox"))
    assert 0 <= left <= left + wide <= width
    assert 0 <= top <= top + high <= height
    assert wide == width or high == height
    scale = min(width / w, height / h)
    assert abs(wide - w * scale) <= 1
    assert abs(high - h * scale) <= 1
    assert abs((width - wide) - 2 * left) <= 1  # in the middle
