"""The errors of passages: altered frames run through the processors of live use."""

from collections.abc import Sequence
from pathlib import Path

import cv2

from vad.branches.base import Branch
from vad.branches.error_files import write_frame_errors
from vad.branches.frame_measurement import FrameMeasurement
from vad.branches.params import MeasureParams
from vad.flow import FlowMethod
from vad.regions import RegionMode
from vad.store.body_heights import BodyHeight
from vad.store.zones import CameraZones
from vad.stream import results
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
    camera: str,
    body_height: BodyHeight,
    zones: CameraZones,
    *,
    threads: int,
) -> None:
    """Work function: writes the errors of a passage, in the files of `vad.branches.error_files`.

    They do not depend on the calibration, so after a change of it they are only scored again.

    Args:
        stem: path of the files to write, without suffix.
        frames: stem of the clip's frames.
        passage: what the frames show.
        flow: the method of optical flow.
        mode: the mode of preprocessing, prepared.
        resize: channels and size of tensors.
        window: the frames of a window.
        branches: the opened branches of the models that have not learned from the clip.
        params: the section `measure`.
        camera: name of the clip's camera.
        body_height: how tall people are in the frame.
        zones: of the camera.
        threads: maximum number of threads; with several, heavy processors run in threads of their own.

    Raises:
        UserError: if the frames are missing or broken, or the model does not fit them.
    """
    cv2.setNumThreads(1)  # the work is divided by processors
    stored = StoredFrames(frames)
    spec = TensorSpec.of(resize, window.at(stored.fps))
    measurement = FrameMeasurement(
        flow,
        mode,
        spec,
        branches,
        params.cell,
        shape=stored.video.shape[1:],
        fps=stored.fps,
        camera=camera,
        body_height=body_height,
        zones=zones,
        skip_warm_up=False,
        concurrent=threads > 1,
    )
    errors = list(results(measurement, passage.shown(stored, stored.video)))
    card = {
        "frames": len(passage),
        "stride": spec.stride,
        "frame": [stored.height, stored.width],
        "fps": stored.fps,
        "cell": params.cell,
        "lookahead": 0,  # not used: the calibration has that of whole clips
    }
    write_frame_errors(stem, errors, measurement.measurement.learned, card)
