"""Clips whose regions are boxes, for the tests of pooling."""

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from vad.scoring.clip_errors import ClipErrors

FPS = 10.0
COLUMNS = ["frame", "track", "x0", "y0", "x1", "y1", "error_look", "error_move"]


def boxed_clip(rows: list[tuple], frames: int, stride=1, size=(12, 16), cell=4, maps=None) -> ClipErrors:
    """A clip with regions (frame, track, x0, y0, x1, y1, error of look, error of move)."""
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[:6], np.int32))
    table = table.astype(dict.fromkeys(COLUMNS[6:], np.float32))
    table.insert(1, "region", np.arange(len(table), dtype=np.int32))
    return ClipErrors("val/a", frames, stride, size, table, FPS, cell, maps or {})


def whole_frame_regions(errors, frames: int | None = None, at=None, stride=1) -> ClipErrors:
    """Regions that are the whole frame, a single track, in every frame or in the frames `at`."""
    at = range(len(errors)) if at is None else at
    rows = [(t, 0, 0, 0, 16, 12, e, 0) for t, e in zip(at, errors, strict=True)]
    return boxed_clip(rows, len(errors) if frames is None else frames, stride)


@st.composite
def boxed_clips(draw: st.DrawFn, strides: tuple[int, ...] = (1, 2, 3)) -> ClipErrors:
    """A few frames, with boxes of a few tracks or none; only the branch `speed` has maps."""
    frames, stride = draw(st.integers(1, 14)), draw(st.sampled_from(strides))
    size, cell = (draw(st.integers(1, 14)), draw(st.integers(1, 14))), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    rows = []
    for t in range(0, frames, stride):
        for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
            y0, x0 = (int(rng.integers(0, side)) for side in size)
            y1, x1 = (int(rng.integers(a + 1, side + 1)) for a, side in zip((y0, x0), size, strict=True))
            rows.append((t, int(rng.integers(-1, 3)), x0, y0, x1, y1, *rng.integers(0, 9, 2) / 4))
    maps = {"speed": rng.random((frames, *(-(-side // cell) for side in size))).astype(np.float16)}
    return boxed_clip(rows, frames, stride, size, cell, maps)


def nearest_with_windows(clip: ClipErrors, t: int) -> int:
    """The frame with windows that is nearest to frame t, the earlier of two."""
    return min(range(0, clip.frames, clip.stride), key=lambda frame: (abs(frame - t), frame))
