"""What raised a score: at a made anomaly its cells contribute most, whatever the model and the reduction."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tests.branches.measured import branches_of, measure
from tests.scoring.boxes import boxed_clip
from tests.scoring.errors import calibrated
from vad import models
from vad.models import MODELS, Autoencoder
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors
from vad.scoring.contributions import Contributions
from vad.scoring.scorer import Scorer
from vad.store import arrays, cards, tables
from vad.stream import results

SIDE, CELL = 32, 4  # pixels of a frame, which is also a window, and of a cell
FRAMES, ANOMALOUS = 60, slice(30, 45)
ROWS, COLUMNS = slice(2, 4), slice(5, 7)  # cells of the made anomaly
WINDOWS = {"conv2d": (1, "middle"), "mlp": (1, "middle"), "memae": (1, "middle"), "unet": (5, "last")}
PARAMS = {
    "conv2d": {"channels": [8, 16]},
    "mlp": {"hidden": [32, 8, 32]},
    "memae": {"channels": [8, 16], "slots": 20},
    "unet": {"channels": [4, 8]},
}
REDUCTIONS = ["mean", "max", "top_k", "patch_max", "psnr", "mean_vector"]


def video(seed: int, anomalous: bool = False) -> np.ndarray:
    """Frames in which a dark thing walks before a sharp background; perhaps with a bright square in some."""
    y, x = np.mgrid[:SIDE, :SIDE]
    background = 110 + 40 * ((x // 3 + y // 5) % 2) + 30.0 * (x > 20)
    rng = np.random.default_rng(seed)
    frames = np.repeat(background[None], FRAMES, axis=0)
    start, speed = rng.uniform(0, SIDE), rng.uniform(0.5, 1)
    for t in range(FRAMES):
        left = int(start + speed * t) % (SIDE - 6)
        frames[t, 16:28, left : left + 5] -= 60
    if anomalous:
        rows, columns = (slice(CELL * part.start, CELL * part.stop) for part in (ROWS, COLUMNS))
        frames[ANOMALOUS, rows, columns] = 245
    return (frames + rng.normal(0, 3, frames.shape)).clip(0, 255).astype(np.uint8)


def offsets(name: str) -> list[int]:
    frames, position = WINDOWS[name]
    return [k - (frames - 1 if position == "last" else 0) for k in range(frames)]


def numbers(name: str) -> np.ndarray:
    """The frames of the window of each frame, int [T, window]."""
    return np.maximum(np.arange(FRAMES)[:, None] + offsets(name), 0)


@pytest.fixture(scope="module")
def trained() -> Callable[[str], Autoencoder]:
    """Autoencoders that learned normal frames."""
    made: dict[str, Autoencoder] = {}

    def of(name: str) -> Autoencoder:
        if name not in made:
            torch.manual_seed(0)
            frames, position = WINDOWS[name]
            params = MODELS.get(name).Params(window={"frames": frames, "position": position}, **PARAMS[name])
            model = models.create(name, params, (1, frames, SIDE, SIDE), ["gray"])
            normal = np.concatenate([video(seed)[numbers(name)] for seed in (0, 1)])[:, None]
            x = torch.from_numpy(normal).float() / 255
            optimiser = torch.optim.Adam(model.parameters(), 0.005)
            for step in range(150):
                batch = x[step % 8 :: 8]
                loss = sum(residual.square().mean() for residual in model.residuals(batch).values())
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
            made[name] = model.eval()
        return made[name]

    return of


def clip_of(folder: Path, name: str, frames: np.ndarray, model: Autoencoder, **reduction) -> ClipErrors:
    """The errors of whole frames, as the stage `measure` writes them."""
    stems = [folder / kind / name for kind in ("tensors", "regions", "flow")]
    planes = numbers(model.name)
    card = {"frames": FRAMES, "window": planes.shape[1], "windows": FRAMES, "stride": 1, "fps": 10.0}
    card |= {"channels": ["gray"], "step": 1, "position": WINDOWS[model.name][1], "fit": "stretch"}
    arrays.write_array(stems[0], frames[:, None], **card | {"frame": [SIDE, SIDE]})
    t = np.arange(FRAMES)
    rows = {"frame": t, "region": t, "track": 0 * t} | {f"plane_{i}": p for i, p in enumerate(planes.T)}
    tables.write_table(stems[0], pd.DataFrame(rows).astype(np.int32))
    boxes = pd.DataFrame({"frame": t}).assign(x0=0, y0=0, x1=SIDE, y1=SIDE, track=0).astype(np.int32)
    tables.write_table(stems[1], boxes.assign(source="frame", confidence=np.float32(1)))
    cards.write_json(stems[1].with_suffix(".json"), {"picture": ["frame"], "lookahead": 0})
    arrays.write_array(stems[2], np.zeros((FRAMES, 1, 1, 2), np.int8), method="none")
    reconstruction = branches_of(model, maps=True, **reduction)[:1]
    return measure(folder, stems, reconstruction, name, cell=CELL)


def contributions(clip: ClipErrors, calibration: Calibration, t: int) -> tuple[float, np.ndarray]:
    """(score of frame t, contributions of its cells)."""
    scorer = Scorer(calibration, clip.size, clip.cell, clip.fps, clip.camera)
    scored = list(results(scorer, clip.each_frame()))[t]
    cells = Contributions(calibration, clip.region_branches, list(clip.maps), clip.camera)
    return scored.score, cells.at(clip, t, scored.score, scored.branches)


def around(rows: slice, columns: slice) -> tuple[slice, slice]:
    """The same cells and their neighbours, which networks blur them into."""
    return slice(max(rows.start - 1, 0), rows.stop + 1), slice(max(columns.start - 1, 0), columns.stop + 1)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("name", WINDOWS)
def test_a_made_anomaly_stands_out_in_whole_frames(tmp_path, trained, name, reduce):
    model = trained(name)
    normal = [clip_of(tmp_path, f"n{i}", video(i), model, reduce=reduce) for i in (2, 3)]
    calibration = calibrated(*normal, threshold={"percentile": 95.0}, aggregate="region")
    clip = clip_of(tmp_path, "test", video(4, anomalous=True), model, reduce=reduce)
    score, cells = contributions(clip, calibration, ANOMALOUS.start)
    assert score > calibration.threshold
    assert cells.max() == pytest.approx(
        score, rel=1e-5
    )  # so the cells that raise it reach the colour of alarms
    inside, outside = cells[ROWS, COLUMNS], cells.copy()
    outside[around(ROWS, COLUMNS)] = 0
    assert inside.max() == cells.max()
    assert inside.mean() > 2 * outside.max()  # that is where the thing walks, which is normal
    assert inside.mean() > 15 * outside.mean()
    before, cells = contributions(clip, calibration, ANOMALOUS.start - 1)
    assert cells.max() == pytest.approx(max(before, 0), rel=1e-5)


@pytest.mark.parametrize("aggregate", ["cell", "region", "track"])
@pytest.mark.parametrize("fuse", ["sum", "max"])
def test_a_made_anomaly_stands_out_among_boxes(aggregate, fuse):
    """People in boxes, each with the error of a normal frame; in a frame one of them has a higher one."""
    rng = np.random.default_rng(0)

    def clip(high: float) -> ClipErrors:
        rows = []
        for t in range(40):
            errors = rng.uniform(0.5, 1.5, (3, 2))
            if t == 20:
                errors[1, 0] *= high
            for track, (look, move) in enumerate(errors):
                rows.append((t, track, 20 * track + t % 4, 8, 20 * track + t % 4 + 8, 24, look, move))
        return boxed_clip(rows, 40, size=(32, 64))

    calibration = calibrated(
        clip(1), clip(1), threshold={"percentile": 95.0}, aggregate=aggregate, fuse=fuse, error_sigma=0.0
    )
    score, cells = contributions(clip(9), calibration, 20)
    assert score > calibration.threshold
    assert cells.max() == pytest.approx(score, rel=1e-5)
    anomalous = np.zeros(cells.shape, bool)
    anomalous[2:6, 5:7] = True
    assert cells[anomalous].min() == cells.max()
    assert cells[~anomalous].max() < 0.6 * score
    assert (cells[[0, 1, 6, 7]] == 0).all()  # nobody is there


def one_error(errors: np.ndarray, camera: str = "hall") -> ClipErrors:
    """A clip of whole frames whose error is the mean of a map: errors of cells, [T, rows, columns]."""
    rows = [(t, 0, 0, 0, 16, 12, e, 0) for t, e in enumerate(errors.mean((1, 2)))]
    return replace(boxed_clip(rows, len(errors), maps={"look": errors.astype(np.float16)}), camera=camera)


def test_what_is_always_reproduced_badly_contributes_nothing():
    """A cell of a static background has the highest error of all, in every frame."""
    rng = np.random.default_rng(0)
    errors = rng.uniform(0.1, 0.2, (50, 3, 4))
    errors[:, 0, 1] += 5
    calibration = calibrated(one_error(errors), branches=["look"], aggregate="region")
    test = errors.copy()
    test[7, 2, 3] += 1
    score, cells = contributions(one_error(test), calibration, 7)
    assert np.unravel_index(cells.argmax(), cells.shape) == (2, 3)
    assert cells[2, 3] == pytest.approx(score, rel=1e-5)
    assert cells[0, 1] < 0.15 * score  # 5.1 to 5.2, of which the median is normal
    # of a camera without normal footage, the other cells of the frame are all that is known
    _, cells = contributions(one_error(test, "yard"), calibration, 7)
    assert np.unravel_index(cells.argmax(), cells.shape) == (0, 1)


def test_normal_errors_of_cells_are_medians_by_camera_and_are_stored(tmp_path):
    rng = np.random.default_rng(0)
    hall, more, yard = (rng.uniform(1, 2, (50, 3, 4)) for _ in range(3))
    clips = [one_error(hall), one_error(more), one_error(yard, "yard")]
    calibration = calibrated(*clips, branches=["look"], aggregate="region")
    for camera, expected in (("hall", np.concatenate([hall, more])), ("yard", yard)):
        assert set(calibration.normal_cells[camera]) == {"look"}
        stored = np.array(calibration.normal_cells[camera]["look"])
        np.testing.assert_allclose(stored, np.median(expected, 0), atol=2e-3)
    calibration.save(tmp_path / "calibration.json")
    assert Calibration.load(tmp_path / "calibration.json") == calibration
    # a frame's error is that of its highest cell: levels of cells say all
    assert calibrated(*clips, branches=["look"], aggregate="cell").normal_cells == {}
