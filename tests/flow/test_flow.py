"""Optical flow: the tensors of a texture show its displacement, whatever their size."""

import tracemalloc
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tests.footage.videos import write_timed
from tests.stream.clips import write_frames
from vad import UserError
from vad.flow import FLOW_METHODS, FlowMethod, FlowParams, open_flow, require_flow
from vad.flow.compute import compute_flow
from vad.flow.dis import PRESETS, Dis
from vad.flow.none import NoFlow
from vad.footage import decode
from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.pipeline.params import load_choice
from vad.regions.table import write
from vad.resize.cut import cut
from vad.store import arrays, cards
from vad.store.body_heights import BodyHeight
from vad.stream import Frame, Threaded, results
from vad.stream.gaps import Gaps
from vad.stream.stored_frames import StoredFrames
from vad.windows.spec import TensorSpec, WindowSpec, placement

HEIGHT, WIDTH = 120, 168
WHOLE, MIDDLE = (0, 0, WIDTH, HEIGHT), (40, 30, 120, 86)
BODY = BodyHeight.constant(50.0, HEIGHT)
SHIFTS = [(3.0, 0.0), (0.0, 2.0), (-4.25, 1.5), (1.3, -2.6), (0.8, 0.7)]  # right, down; pixels per frame


def texture(x: np.ndarray, y: np.ndarray, seed: int = 0) -> np.ndarray:
    """A picture of waves of 7 to 40 pixels, defined between pixels too: uint8, of the shape of x and y."""
    rng = np.random.default_rng(seed)
    out = np.zeros(np.broadcast(x, y).shape)
    for _ in range(40):
        angle, wave, phase = rng.uniform(0, 2 * np.pi), rng.uniform(7, 40), rng.uniform(0, 2 * np.pi)
        out += np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wave + phase)
    return np.clip(np.rint(127.5 + 18 * out), 0, 255).astype(np.uint8)


def moving(right: float, down: float, length=3, height=HEIGHT, width=WIDTH, seed=0) -> np.ndarray:
    """Frames [T, H, W] of a texture that moves as a whole by so many pixels per frame."""
    y, x = np.mgrid[:height, :width]
    return np.stack([texture(x - right * t, y - down * t, seed) for t in range(length)])


def dis(preset="medium", height=HEIGHT, limit=8.0) -> Dis:
    return Dis(Dis.Params(preset=preset, height=height, limit=limit))


def flow_of(folder: Path, frames: np.ndarray, method: Dis, threads=1) -> tuple[np.ndarray, dict]:
    """Writes the frames and the flow of a clip; returns the array of the flow and its card."""
    write_frames(folder / "frames", frames)
    compute_flow(folder / "flow", folder / "frames", method, threads=threads)
    return open_flow(folder / "flow", "a test")


def displacements(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    """Displacements in pixels of frames reduced to width x height, float32 [T, height, width, 2].

    By OpenCV alone, with the preset medium.
    """
    algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    algorithm.setFinestScale(min(algorithm.getFinestScale(), int(np.log2(min(width, height) / 8))))
    small = [cv2.resize(f, (width, height), interpolation=cv2.INTER_AREA) for f in frames]
    flow = [-algorithm.calc(small[t], small[t - 1], None) for t in range(1, len(frames))]
    return np.stack([flow[0], *flow])


def in_tensor(folder: Path, box: tuple[int, ...], height=32, width=32, fit="stretch") -> np.ndarray:
    """Displacement [T, h, w, 2] in pixels of the frame that the tensors of a box show, without padding."""
    length = cards.read_card(folder / "frames")["shape"][0]
    table = regions_at([(t, *box) for t in range(length)])
    write(folder / "regions", table)
    fps, scale = cards.read_card(folder / "frames")["fps"], cards.read_card(folder / "flow")["scale"]
    window, flow_range = WindowSpec(frames=1), 127 * scale * fps / BODY.near  # nothing is clipped
    spec = TensorSpec(
        channels=["flow"], height=height, width=width, fit=fit, window=window, flow_range=flow_range
    )
    parts = [folder / kind for kind in ("frames", "regions", "flow")]
    cut(folder / "tensors", *parts, spec, BODY, threads=1)
    planes, card = arrays.open_array(folder / "tensors")
    left, top, w, h = placement(box[2] - box[0], box[3] - box[1], spec)
    inside = planes[:, :, top : top + h, left : left + w]
    assert planes.sum() - inside.sum() == (planes.size - inside.size) * 128  # padding is still
    velocity = (inside.transpose(0, 2, 3, 1) - float(card["flow"]["still"])) * card["flow"]["step"]
    return velocity * BODY.near / fps


def regions_at(rows: list[tuple[int, ...]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["frame", "x0", "y0", "x1", "y1"])
    return table.assign(track=-1, source="motion", confidence=1)


def assert_moves(displacement: np.ndarray, shift: tuple[float, float]) -> None:
    """Every frame's mean displacement is right within 10 %."""
    for mean in displacement.mean((1, 2)):
        assert np.hypot(*(mean - shift)) <= 0.1 * np.hypot(*shift), f"{mean}, expected {shift}"


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize(
    ("height", "width", "fit"),
    [(56, 80, "stretch"), (24, 16, "stretch"), (32, 32, "letterbox"), (16, 96, "letterbox")],
)
def test_the_tensor_of_a_crop_shows_the_shift(tmp_path, shift, height, width, fit):
    flow_of(tmp_path, moving(*shift), dis())
    assert_moves(in_tensor(tmp_path, MIDDLE, height, width, fit), shift)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("rows", [60, 83])
def test_the_shift_survives_a_reduced_height(tmp_path, shift, rows):
    """Also where the reduced width is not a whole number: axes are then scaled differently."""
    counts, card = flow_of(tmp_path, moving(*shift), dis(height=rows))
    assert counts.shape == (3, rows, round(WIDTH * rows / HEIGHT), 2)
    assert card["frame"] == [HEIGHT, WIDTH]
    assert_moves(in_tensor(tmp_path, MIDDLE), shift)
    assert_moves(in_tensor(tmp_path, MIDDLE, 24, 40, "letterbox"), shift)


def test_a_picture_reduced_far_out_of_shape_keeps_both_axes(tmp_path):
    """16 of 200 rows leave 8.4 -> 8 columns of 105: a scale of 13.1 across, 12.5 down."""
    y, x = np.mgrid[:200, :105]
    frames = np.stack([texture((x - 9 * t) / 4, (y - 9 * t) / 4) for t in range(3)])
    counts, card = flow_of(tmp_path, frames, dis(height=16, limit=16.0))
    assert counts.shape[1:3] == (16, 8)
    h, w = counts.shape[1:3]
    exact = displacements(frames, w, h)
    np.testing.assert_allclose(counts * card["scale"], exact * [105 / w, 200 / h], atol=16 / 127)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_gives_the_shift(tmp_path, preset):
    flow_of(tmp_path, moving(3.0, -2.0), dis(preset))
    assert_moves(in_tensor(tmp_path, MIDDLE), (3.0, -2.0))


def test_crops_at_the_corners_show_their_part_of_the_flow(tmp_path):
    """The left half moves right, the right half left: each box shows the motion of its content."""
    half = WIDTH // 2
    frames = np.concatenate([moving(2, 0, width=half, seed=1), moving(-2, 0, width=half, seed=2)], axis=2)
    flow_of(tmp_path, frames, dis(height=60))
    assert np.median(in_tensor(tmp_path, (0, 0, 50, 60))[..., 0]) == pytest.approx(2, rel=0.1)
    assert np.median(in_tensor(tmp_path, (WIDTH - 50, 60, WIDTH, HEIGHT))[..., 0]) == pytest.approx(
        -2, rel=0.1
    )


@pytest.mark.parametrize("step", [(6, 0), (-6, 0), (0, 6), (0, -6), (5, -5)])
def test_flow_lies_inside_the_box_of_the_same_frame(tmp_path, step):
    """A patch over a still background: flow[t] lies where the patch is in frame t, not where it was."""
    still, patch, side = moving(0, 0, length=1)[0], moving(0, 0, 1, seed=7)[0], 40
    frames, boxes = [], []
    for t in range(4):
        x, y = 64 + step[0] * t, 40 + step[1] * t
        frame = still.copy()
        frame[y : y + side, x : x + side] = patch[:side, :side]
        frames.append(frame)
        boxes.append((x, y, x + side, y + side))
    flow_of(tmp_path, np.stack(frames), dis())
    everywhere = in_tensor(tmp_path, WHOLE, HEIGHT, WIDTH)
    leading, left = [], []
    for t in range(1, 4):
        now, before = np.zeros((2, HEIGHT, WIDTH), bool)
        for mask, (x0, y0, x1, y1) in ((now, boxes[t]), (before, boxes[t - 1])):
            mask[y0:y1, x0:x1] = True
        median = np.median(everywhere[t][now], axis=0)
        assert np.hypot(*(median - step)) <= 0.1 * np.hypot(*step)
        moves = np.hypot(*everywhere[t].transpose(2, 0, 1)) > 0.5 * np.hypot(*step)
        assert moves[now].mean() > max(0.9, moves[before].mean())
        assert moves[~now & ~before].mean() < 0.02
        leading.append(moves[now & ~before].mean())
        left.append(moves[before & ~now].mean())  # was hidden before, so nobody can know
    assert np.mean(leading) > np.mean(left) + 0.1


def test_frame_0_repeats_frame_1(tmp_path):
    counts, _ = flow_of(tmp_path, moving(2.0, 1.0, length=4), dis())
    assert len(counts) == 4
    np.testing.assert_array_equal(counts[0], counts[1])
    assert (counts[1] != counts[2]).any()


def test_results_come_with_their_frames():
    """All but frame 0, which waits for frame 1."""
    video = moving(2.0, 1.0, length=4)
    flow = dis().processor(HEIGHT, WIDTH)
    out = [flow.process(Frame(t, t / 10, video[t])) for t in range(4)]
    assert [len(r) for r in out] == [0, 2, 1, 1]
    np.testing.assert_array_equal(out[1][0], out[1][1])
    assert flow.finish() == []
    assert flow.lookahead == 0
    alone = dis(height=60).processor(HEIGHT, WIDTH)
    assert alone.process(Frame(0, 0.0, video[0])) == []
    (still,) = alone.finish()
    assert (still.shape, still.dtype) == ((60, 84, 2), np.int8)
    assert not still.any()
    assert dis().processor(HEIGHT, WIDTH).finish() == []


def test_results_that_are_kept_do_not_change():
    video = moving(2.0, 1.0, length=6)
    flow, kept, copies = dis().processor(HEIGHT, WIDTH), [], []
    for t in range(6):
        kept += flow.process(Frame(t, t / 10, video[t]))
        copies += [counts.copy() for counts in kept[len(copies) :]]
    np.testing.assert_array_equal(np.stack(kept), np.stack(copies))


def test_two_streams_at_once_and_a_thread_change_nothing():
    sizes, speeds = [(HEIGHT, WIDTH), (64, 96)], [(2.0, 1.0), (-3.0, 0.5)]
    clips = [
        [Frame(t, t / 10, f) for t, f in enumerate(moving(*v, length=5, height=h, width=w))]
        for v, (h, w) in zip(speeds, sizes, strict=True)
    ]
    alone = [list(results(dis().processor(*s), clip)) for s, clip in zip(sizes, clips, strict=True)]
    together = [dis().processor(*sizes[0]), Threaded(dis().processor(*sizes[1]))]
    out: list[list] = [[], []]
    for frames in zip(*clips, strict=True):
        for processor, frame, got in zip(together, frames, out, strict=True):
            got += processor.process(frame)
    for processor, got, expected in zip(together, out, alone, strict=True):
        np.testing.assert_array_equal(np.stack(got + processor.finish()), np.stack(expected))


def test_over_a_gap_the_displacement_is_divided_by_the_steps(tmp_path):
    """Frames 3 and 4 of seven, and frame 8 of ten, were dropped; the texture moves on meanwhile."""
    shift, shown = (2.0, -1.0), [0, 1, 2, 5, 6, 7, 9]
    video = moving(*shift, length=10)[shown]
    write_frames(tmp_path / "frames", video, 10.0, np.array(shown) / 10)
    method = dis(limit=4.0)  # less than the displacement over the longer gap
    compute_flow(tmp_path / "flow", tmp_path / "frames", method, threads=1)
    counts, card = open_flow(tmp_path / "flow", "a test")
    assert_moves(in_tensor(tmp_path, MIDDLE), shift)
    steps = np.array([1, 1, 1, 3, 1, 1, 2])[:, None, None, None]
    exact = np.clip(displacements(video, WIDTH, HEIGHT) / steps, -4, 4)
    assert np.abs(counts * card["scale"] - exact).max() <= card["scale"] * 0.501
    assert card["clipped"] < 0.01


@pytest.mark.parametrize("fps", [None, 7.0, 25.0])
def test_from_the_video_file_as_from_the_stored_frames(tmp_path, fps):
    """A file with a gap of half a second, and intervals that vary otherwise."""
    video = moving(2.0, 1.0, length=14, height=64, width=96)
    ticks = np.array([0, 2, 4, 6, 8, 9, 12, 14, 19, 21, 23, 25, 26, 29])
    write_timed(tmp_path / "a.mp4", list(video), [Fraction(int(t), 20) for t in ticks])
    extract(tmp_path / "frames", tmp_path / "a.mp4", 0, 14, ExtractParams(fps=fps))
    method = dis(height=48)
    compute_flow(tmp_path / "flow", tmp_path / "frames", method, threads=1)
    counts, _ = open_flow(tmp_path / "flow", "a test")
    rate = fps or cards.read_card(tmp_path / "frames")["fps"]
    stream = list(results(Gaps(rate), decode.frames(tmp_path / "a.mp4", "gray", fps=fps)))
    assert max(f.steps for f in stream) > 1
    live = list(results(method.processor(64, 96), stream))
    np.testing.assert_array_equal(np.stack(live), counts)


def test_a_gap_before_frame_1_holds_for_frame_0_too(tmp_path):
    video = moving(3.0, 1.0, length=5)[[0, 2, 3, 4]]
    write_frames(tmp_path / "frames", video, 10.0, [0.0, 0.2, 0.3, 0.4])
    compute_flow(tmp_path / "flow", tmp_path / "frames", dis(), threads=1)
    assert_moves(in_tensor(tmp_path, MIDDLE), (3.0, 1.0))


def test_playing_backwards_reverses_the_flow(tmp_path):
    """The flow has the direction of time."""
    flow_of(tmp_path, moving(3.0, -1.0, length=2)[::-1], dis())
    assert_moves(in_tensor(tmp_path, MIDDLE), (-3.0, 1.0))


def test_a_single_frame_does_not_move(tmp_path):
    counts, card = flow_of(tmp_path, moving(0, 0, length=1), dis())
    assert counts.shape == (1, HEIGHT, WIDTH, 2)
    assert not counts.any()
    assert card["clipped"] == 0
    assert not in_tensor(tmp_path, MIDDLE).any()


def test_colour_frames_have_the_flow_of_gray_frames(tmp_path):
    gray = moving(2.0, -3.0)
    counts, _ = flow_of(tmp_path / "gray", gray, dis())
    same, _ = flow_of(tmp_path / "same", np.repeat(gray[..., None], 3, axis=3), dis())
    np.testing.assert_array_equal(same, counts)
    colours = np.stack([moving(2.0, -3.0, seed=s) for s in (1, 2, 3)], axis=3)
    flow_of(tmp_path / "colours", colours, dis(height=80))
    assert_moves(in_tensor(tmp_path / "colours", MIDDLE), (2.0, -3.0))


def test_red_weighs_more_than_blue(tmp_path):
    """As in luma: the red texture moves right, and prevails over the blue texture, which moves left."""
    red, blue = moving(3, 0, seed=1), moving(-3, 0, seed=2)
    flow_of(tmp_path, np.stack([red, np.zeros_like(red), blue], axis=3), dis())
    assert np.median(in_tensor(tmp_path, MIDDLE)[..., 0]) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
@pytest.mark.parametrize("picture", ["texture", "flat", "noise"])
def test_where_nothing_moves_every_value_is_128(tmp_path, fit, picture):
    frame = {
        "texture": moving(0, 0, length=1)[0],
        "flat": np.full((HEIGHT, WIDTH), 90, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8),
    }[picture]
    _, card = flow_of(tmp_path, np.stack([frame] * 3), dis(height=70))
    assert not in_tensor(tmp_path, MIDDLE, 24, 48, fit).any()
    assert (arrays.open_array(tmp_path / "tensors")[0] == 128).all()
    assert card["clipped"] == 0


@pytest.mark.parametrize(("shift", "expected"), [((5.0, 0.0), (2, 0)), ((0.5, -5.0), (0.5, -2))])
def test_displacements_are_clipped_to_the_limit(tmp_path, shift, expected):
    counts, card = flow_of(tmp_path, moving(*shift), dis(limit=2.0))
    assert counts.min() >= -127
    shown = np.median(in_tensor(tmp_path, MIDDLE), axis=(0, 1, 2))
    np.testing.assert_allclose(shown, expected, atol=0.06)
    assert card["scale"] == pytest.approx(2 / 127)
    assert card["clipped"] > 0.8


@pytest.mark.parametrize(("rows", "limit"), [(120, 2.4), (50, 2.4), (50, 1.0), (120, 50.0)])
def test_counts_are_the_displacement_in_pixels_of_the_frame(tmp_path, rows, limit):
    frames = moving(2.5, -1.5)
    counts, card = flow_of(tmp_path, frames, dis(height=rows, limit=limit))
    h, w = counts.shape[1:3]
    exact = displacements(frames, w, h) * np.array([WIDTH / w, HEIGHT / h])
    error = np.abs(counts * card["scale"] - np.clip(exact, -limit, limit))
    assert error.max() <= card["scale"] * 0.501
    expected = (np.abs(exact) > limit * 127.5 / 127).any(axis=3).mean()
    assert card["clipped"] == pytest.approx(expected, abs=1e-3)
    assert (card["clipped"] > 0) == (limit < 50)


def test_frames_are_not_enlarged(tmp_path):
    counts, _ = flow_of(tmp_path, moving(1.0, 0.0), dis(height=2000))
    assert counts.shape == (3, HEIGHT, WIDTH, 2)


def test_the_bytes_do_not_depend_on_the_number_of_threads(tmp_path):
    frames = moving(3.3, -1.2, height=240, width=360)
    for threads in (1, 2, 4):
        flow_of(tmp_path / str(threads), frames, dis(height=240), threads)
    files = [
        [(tmp_path / str(n) / f"flow.{suffix}").read_bytes() for suffix in ("npy", "json")] for n in (1, 2, 4)
    ]
    assert files[0] == files[1] == files[2]


def test_the_flow_of_a_clip_is_repeatable_and_independent_of_other_clips(tmp_path):
    frames = moving(1.5, 2.5)
    once, _ = flow_of(tmp_path / "a", frames, dis())
    flow_of(tmp_path / "b", moving(-3, 0, seed=5), dis())
    again, _ = flow_of(tmp_path / "c", frames, dis())
    np.testing.assert_array_equal(once, again)
    assert cards.read_card(tmp_path / "a/flow") == cards.read_card(tmp_path / "c/flow")


def test_memory_does_not_grow_with_the_clip(tmp_path):
    """3000 frames of 18 kB are 55 MB, as large as their flow. The memory of numpy stays below that."""
    y, x = np.mgrid[:96, :192]
    few = [texture(x - t, y) for t in range(4)]
    write_frames(tmp_path / "frames", np.stack(few)[np.arange(3000) % 4])
    tracemalloc.start()
    compute_flow(tmp_path / "flow", tmp_path / "frames", dis("ultrafast", height=24), threads=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(open_flow(tmp_path / "flow", "a test")[0]) == 3000
    assert peak < 1e6


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(12, 200), (24, 120), (200, 12), (31, 91), (8, 12)])
def test_sizes_that_crash_opencv_are_handled(tmp_path, preset, height, width):
    """Wide frames with fewer rows than the finest scale of the preset needs (opencv#14554)."""
    counts, _ = flow_of(tmp_path, moving(1.0, 0.0, height=height, width=width), dis(preset, 200))
    if min(height, width) >= 24:
        assert np.median(counts[..., 0]) * 8 / 127 == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(("height", "width"), [(4, 100), (8, 11), (100, 7), (1, 1)])
def test_frames_too_small_for_dis_are_refused(tmp_path, height, width):
    frames = np.zeros((3, height, width), np.uint8)
    with pytest.raises(
        UserError, match=rf"frames of {width}x{height} become .* too small .* raise flow.dis.height"
    ):
        flow_of(tmp_path, frames, dis())


def test_without_flow_the_message_says_what_to_set(tmp_path):
    compute_flow(tmp_path / "flow", tmp_path / "nosuch", NoFlow(NoFlow.Params()), threads=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["flow.json"]
    assert cards.read_card(tmp_path / "flow")["method"] == "none"
    message = r"^resize\.channels: flow needs optical flow, .*flow\.method is none; set flow\.method: dis$"
    with pytest.raises(UserError, match=message):
        open_flow(tmp_path / "flow", "resize.channels: flow")
    with pytest.raises(UserError, match=message):
        require_flow("none", "resize.channels: flow")
    require_flow("dis", "anything")


def test_missing_files_of_flow_are_not_taken_for_the_method_none(tmp_path):
    with pytest.raises(UserError, match=r"flow\.json: not found; `dvc repro` makes it"):
        open_flow(tmp_path / "flow", "a test")


@pytest.mark.parametrize(
    "wrong", [{"preset": "slow"}, {"height": 8}, {"limit": 0}, {"limit": -1.0}, {"height": 100.5}]
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ValidationError):
        Dis.Params(**wrong)


@pytest.mark.parametrize("name", FLOW_METHODS.names())
def test_every_method_has_defaults_and_descriptions_and_writes_a_card(tmp_path, name):
    _, method, chosen = load_choice("flow", FlowParams, {"flow": {"method": name, name: {}}})
    assert issubclass(method, FlowMethod)
    assert method.name == name
    for key, field in method.Params.model_fields.items():
        assert field.description, f"flow.{name}.{key} has no description"
        assert not field.is_required(), f"flow.{name}.{key} has no default"
    frames = moving(2.0, 1.0)
    write_frames(tmp_path / "frames", frames)
    flow = method(chosen)
    compute_flow(tmp_path / "flow", tmp_path / "frames", flow, threads=1)
    card = cards.read_card(tmp_path / "flow")
    assert card["method"] == name
    assert card["hash"]
    live = list(results(flow.processor(HEIGHT, WIDTH), StoredFrames(tmp_path / "frames")))
    if flow.scale is None:
        assert live == [None] * len(frames)
        assert not (tmp_path / "flow.npy").exists()
    else:
        assert card["scale"] == flow.scale
        counts, _ = open_flow(tmp_path / "flow", "a test")
        np.testing.assert_array_equal(np.stack(live), counts)
        assert counts.dtype == np.int8
        assert (len(counts), counts.shape[3]) == (len(frames), 2)
        np.testing.assert_allclose(np.median(counts, axis=(0, 1, 2)) * card["scale"], [2, 1], rtol=0.1)
