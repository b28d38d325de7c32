"""The errors of passages: altered frames run through the processors of live use."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from vad.branches.base import Branch
from vad.branches.error_files import ErrorWriter
from vad.branches.params import MeasureParams
from vad.flow import FlowMethod
from vad.live.measuring import Measuring
from vad.regions import RegionMode
from vad.store.tables import BOX
from vad.stream import FrameErrors, results
from vad.stream.stored_frames import StoredFrames
from vad.validation.passages import Passage
from vad.windows.spec import ResizeParams, TensorSpec, WindowParams


def measure_passage(
    stem: Path,
    frames: Path,
    passage: Passage,
    flow: FlowMethod,
    mode: RegionMode,
    resize: ResizeParams,
    window: WindowParams,
    branches: Sequence[Branch],
    params: MeasureParams,
    *,
    threads: int,
) -> None:
    """Work function: writes the errors of a passage, in the files of `vad.branches.error_files`.

    Nothing of the calibration goes in, so errors are measured once and scored as often as it changes.

    Args:
        stem: path of the files to write, without suffix.
        frames: stem of the clip's frames.
        passage: what is shown.
        flow: the method of optical flow.
        mode: the mode of preprocessing, prepared.
        resize: channels and size of tensors.
        window: the frames of a window.
        branches: the opened branches of a model that has not seen the clip, with folds that of its own.
        params: the section `measure`.
        threads: maximum number of threads; with several, heavy processors run in threads of their own.

    Raises:
        UserError: if the frames are missing or broken, or the model does not fit them.
    """
    cv2.setNumThreads(1)  # the work is divided by processors
    stored = StoredFrames(frames)
    spec = TensorSpec.of(resize, window.at(stored.fps))
    measuring = Measuring(
        flow,
        mode,
        spec,
        branches,
        params.cell,
        shape=stored.video.shape[1:],
        fps=stored.fps,
        skip_warm_up=False,
        concurrent=threads > 1,
    )
    errors = list(results(measuring, passage.shown(stored, stored.video)))
    measurement = measuring.measurement
    card = {
        "frames": len(passage),
        "stride": spec.stride,
        "frame": [stored.height, stored.width],
        "fps": stored.fps,
        "cell": params.cell,
        "lookahead": 0,  # is that of the calibration, which comes from clips as they are
    }
    with ErrorWriter(stem, _table(errors), card) as out:
        for name, learned in measurement.learned.items():
            out.declare(name, learned)
        for name in measurement.maps:
            with out.add_map(name) as writer:
                for frame in errors:
                    writer.append(frame.maps[name])
        own = [frame for frame in errors if frame.index == frame.source]
        for name in measurement.columns:
            out.add_column(name, np.concatenate([frame.errors[name] for frame in own]))


def _table(errors: Sequence[FrameErrors]) -> pd.DataFrame:
    """The first columns of the table of errors: a row per region of each frame that has its own windows."""
    own = [frame for frame in errors if frame.index == frame.source]
    counts = [len(frame.regions) for frame in own]
    boxes = np.concatenate([frame.regions.boxes for frame in own]).astype(np.int32)
    return pd.DataFrame(
        {
            "frame": np.repeat([frame.index for frame in own], counts).astype(np.int32),
            "region": np.arange(sum(counts)),
            "track": np.concatenate([frame.regions.tracks for frame in own]).astype(np.int32),
            **dict(zip(BOX, boxes.T, strict=True)),
        }
    )
