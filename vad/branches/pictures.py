"""Errors of single pictures: by the branches that need no motion, of the regions that need none.

A picture is a clip with one frame, which goes through the processors of all clips. So the frames of normal
clips can be measured as if each were a picture, for a threshold of such scores.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vad.branches.base import Branch
from vad.branches.frame_measurement import FrameMeasurement
from vad.branches.params import MeasureParams
from vad.durations import count_frames
from vad.flow import FlowMethod
from vad.regions import RegionMode
from vad.store.body_heights import BodyHeight
from vad.store.zones import CameraZones
from vad.stream import Frame, FrameErrors, results
from vad.windows.spec import ResizeParams, TensorSpec, WindowParams

FPS = 1.0  # of a clip with one frame, where it has no effect
INTERVAL = 0.4  # seconds between the frames of a normal clip that are measured; nearer ones hardly differ


def picture_errors(
    pixels: np.ndarray,
    flow: FlowMethod,
    mode: RegionMode,
    resize: ResizeParams,
    window: WindowParams,
    branches: Sequence[Branch],
    cell: int,
    camera: str,
    body_height: BodyHeight,
    zones: CameraZones,
) -> FrameErrors:
    """Measures a picture.

    Args:
        pixels: uint8 [H, W] or [H, W, 3] RGB, as extracted.
        flow: the method of optical flow; nothing moves.
        mode: the mode of preprocessing for pictures (`RegionMode.for_pictures`).
        resize: channels and size of tensors.
        window: the frames of a window, all of which are this one.
        branches: the sources of error, opened; those without errors of a single frame are left out.
        cell: pixels of the frame per cell of a map, in each direction.
        camera: name of the camera; "" if unknown.
        body_height: how tall people are in the picture.
        zones: of the camera.

    Returns:
        The errors that depend on a single frame (`Branch.single_frame`), without maps.

    Raises:
        UserError: if the model does not fit the picture.
    """
    measurement = FrameMeasurement(
        flow,
        mode,
        TensorSpec.of(resize, window.at(FPS)),
        [branch for branch in branches if branch.single_frame],
        cell,
        shape=pixels.shape,
        fps=FPS,
        camera=camera,
        body_height=body_height,
        zones=zones,
        skip_warm_up=False,
        concurrent=False,
    )
    (errors,) = results(measurement, [Frame(0, 0.0, pixels)])
    names = measurement.measurement.single_frame
    return replace(errors, errors={name: errors.errors[name] for name in names}, maps={})


def measure_pictures(
    stem: Path,
    frames: Path,
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
    """Work function: writes the errors that frames of a normal clip have as pictures, a frame per INTERVAL.

    In the files of `vad.branches.error_files`, these frames are those of a clip with a lower rate.

    Args:
        stem: path of the files to write, without suffix.
        frames: stem of the clip's frames.
        flow, mode, resize, window, branches, camera, body_height, zones: as of `picture_errors`.
        params: the section `measure`.
        threads: not used, since pictures are small.

    Raises:
        UserError: if the frames are missing or broken, or the model does not fit them.
    """
    # both load pandas, which scoring pictures does without
    from vad.branches.error_files import write_frame_errors
    from vad.stream.stored_frames import StoredFrames

    cv2.setNumThreads(1)
    stored = StoredFrames(frames)
    step = count_frames(INTERVAL, stored.fps, least=1)
    processors = flow, mode, resize, window, branches, params.cell, camera, body_height, zones
    measured = [
        replace(picture_errors(np.asarray(pixels), *processors), index=i, source=i)
        for i, pixels in enumerate(stored.video[::step])
    ]
    card = {
        "frames": len(measured),
        "stride": 1,
        "frame": [stored.height, stored.width],
        "fps": stored.fps / step,
        "cell": params.cell,
        "lookahead": 0,
    }
    write_frame_errors(stem, measured, dict.fromkeys(measured[0].errors, True), card)
