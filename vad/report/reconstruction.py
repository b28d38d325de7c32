"""What the autoencoder made of whole frames, as a video in step with that of the clip. Needs torch.

From left to right: the frame as the autoencoder sees it, its output for this frame, and the error. If it also
codes flow, that is in a second row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from vad.branches.base import TensorShape
from vad.branches.zone_mask import ZoneMask
from vad.drawing.overlays import color_flow
from vad.models.base import Autoencoder, fingerprint, load, to_input
from vad.overlay.overlay import even, resized
from vad.overlay.score_strip import GROUND, LINE
from vad.overlay.text import draw_text
from vad.pipeline.clipwise import Job
from vad.report.clip_video import ClipVideo
from vad.report.footage import Footage, TestedClip
from vad.report.scripts import safe_name
from vad.store.cards import read_card
from vad.store.tables import read_table
from vad.store.zones import CameraZones
from vad.windows.dataset import Windows
from vad.windows.planes import FLOW, PLANES, STILL_INPUT
from vad.windows.spec import placement
from vad.windows.stride import nearest

BATCH = 64  # windows
PANEL = 240  # pixels, width of a picture
GAP = 4  # pixels between pictures
LETTERS = 13  # pixels, height of the font
TITLE = 20  # pixels, height of the line above a picture
FULL_ERROR = 0.3  # difference that gets the brightest colour, of pixels from 0 to 1
SPAN = 5.0  # of standardised windows, which is drawn like the range from 0 to 1 of others
FULL_FLOW = 0.25  # the same for flow, of the range from 0 to 1
OUTPUTS = {"reconstruct": "reconstruction", "predict": "prediction", "translate": "flow from appearance"}


@dataclass(frozen=True, eq=False)
class Coded:
    """A frame and what the autoencoders made of it, C' planes of the output.

    Attributes:
        target: float32 [C', h, w], with which the output is compared.
        output: the mean of the autoencoders' outputs, float32 [C', h, w].
        error: the mean of their squared errors, float32 [C', h, w].
    """

    target: np.ndarray
    output: np.ndarray
    error: np.ndarray


def load_autoencoders(folder: Path) -> tuple[tuple[Autoencoder, ...], list[str]]:
    """Loads the autoencoders of all folds.

    Args:
        folder: with a folder per fold.

    Returns:
        The autoencoders, and their hashes.

    Raises:
        UserError: if a file is missing or broken.
    """
    folds = sorted((card.parent for card in folder.glob("[0-9]*/card.json")), key=lambda fold: int(fold.name))
    return tuple(load(fold)[0] for fold in folds), [fingerprint(fold) for fold in folds]


def reconstruction_jobs(clips: Sequence[TestedClip], footage: Footage) -> list[Job]:
    """The work of drawing reconstructions (`draw_reconstruction`), a job per clip.

    Args:
        clips: the clips.
        footage: with the files.

    Raises:
        UserError: if a file is missing or broken.
    """
    sources, jobs = footage.sources, []
    autoencoders, hashes = load_autoencoders(sources.autoencoder)
    for clip in clips:
        zones = footage.zones.of(clip.row.camera)
        stems = [sources.tensors / clip.name, sources.frames / clip.id]
        also = [*hashes, zones.hash]
        jobs.append(Job.on(clip.id, stems, autoencoders, zones, name=safe_name(clip.id), also=also))
    return jobs


def draw_reconstruction(
    stem: Path,
    tensors: Path,
    frames: Path,
    autoencoders: tuple[Autoencoder, ...],
    zones: CameraZones,
    *,
    threads: int = 1,
) -> None:
    """Work function: writes the video of a clip whose regions are whole frames, <stem>.mp4.

    Args:
        stem: path of the file, without suffix.
        tensors, frames: stems of the clip's windows and frames.
        autoencoders: of all folds.
        zones: of the camera; where frames are not judged, the error is drawn as 0.
        threads: maximum number of threads.

    Raises:
        UserError: if a file is missing or broken.
        OSError: if the video cannot be written.
    """
    cv2.setNumThreads(threads)
    torch.set_num_threads(threads)
    card, seconds = read_card(tensors), read_table(frames)["seconds"].to_numpy()
    size = card["frame"][0], card["frame"][1]
    tensor = TensorShape(card["shape"][2], card["shape"][3], card["fit"])
    judged = ZoneMask(zones, size, 1).window(tensor) if zones else None
    sheet = _Sheet(autoencoders[0], size, tensor)
    number, picture = -1, np.empty(0)
    coded = code(Windows(tensors.parent, [tensors.name]), autoencoders)
    with ClipVideo(Path(f"{stem}.mp4"), sheet.size, card["fps"]) as video:
        # with a stride, frames have the window of the nearest frame that has one
        for k, time in zip(nearest(card["frames"], card["stride"]).tolist(), seconds.tolist(), strict=True):
            if k != number:
                picture, number = sheet.draw(next(coded), judged), k
            video.add(picture, time)


@torch.inference_mode()
def code(windows: Windows, autoencoders: Sequence[Autoencoder]) -> Iterator[Coded]:
    """Codes the windows of a clip.

    Args:
        windows: of the clip.
        autoencoders: whose mean is taken.

    Yields:
        The result for each window.
    """
    first = autoencoders[0]
    for start in range(0, len(windows), BATCH):
        x = to_input(windows[np.arange(start, min(start + BATCH, len(windows)))])
        # targets are standardised by some models, each in its own way; so residuals are taken from them
        targets = [model.target(x) for model in autoencoders]
        outputs = [model(x) for model in autoencoders]
        shown = first.scored_frame if outputs[0].shape[2] > 1 else 0
        target = torch.stack([t[:, :, shown] for t in targets])
        output = torch.stack([y[:, :, shown] for y in outputs])
        error = (target - output).square().mean(0)
        for parts in zip(target.mean(0).numpy(), output.mean(0).numpy(), error.numpy(), strict=True):
            yield Coded(*parts)


class _Sheet:
    """Draws the pictures of a frame side by side.

    Args:
        model: one of the autoencoders.
        frame: (height, width) of a frame in pixels.
        tensor: to which frames were resized.
    """

    def __init__(self, model: Autoencoder, frame: tuple[int, int], tensor: TensorShape):
        names = model.channels
        if model.output_shape[0] < len(names):  # translation gives the planes of flow alone
            names = [name for name in names if name in FLOW]
        colors = [names.index(name) for name in PLANES["rgb"] if name in names]
        others = [i for i, name in enumerate(names) if name not in FLOW]
        flow = [i for i, name in enumerate(names) if name in FLOW]
        self._rows: list[tuple[str, list[int]]] = []
        if others:
            self._rows.append(("frame", colors if len(colors) == 3 else others[:1]))
        if len(flow) == 2:
            self._rows.append(("flow", flow))
        self._output = OUTPUTS.get(model.objective, "output")
        self._frame, self._place = frame, placement(frame[1], frame[0], tensor)
        self._height = max(1, round(PANEL * frame[0] / frame[1]))
        self.size = even(len(self._rows) * (TITLE + self._height)), even(3 * PANEL + 2 * GAP)

    def draw(self, coded: Coded, judged: np.ndarray | None) -> np.ndarray:
        """The picture of a frame, uint8 [height, width, 3] RGB of `size`.

        Args:
            coded: the frame.
            judged: the pixels that count, bool [h, w]; None: all.
        """
        canvas = np.empty((*self.size, 3), np.uint8)
        canvas[:] = GROUND
        for row, (name, planes) in enumerate(self._rows):
            top = row * (TITLE + self._height)
            target, output = coded.target[planes], coded.output[planes]
            # some models standardise windows: to a mean of 0 and a deviation of 1
            standardised = bool(coded.target.min() < -0.5 or coded.target.max() > 1.5)
            error = np.sqrt(coded.error[planes].mean(0)) / (SPAN if standardised else 1)
            panels = (
                (name, _colored(name, target, standardised)),
                (self._output, _colored(name, output, standardised)),
                ("error", _heat(error if judged is None else np.where(judged, error, 0))),
            )
            for column, (title, panel) in enumerate(panels):
                left = column * (PANEL + GAP)
                draw_text(canvas, title, left + 4, top + 2, LETTERS, LINE)
                canvas[top + TITLE : top + TITLE + self._height, left : left + PANEL] = self._fitted(panel)
        return canvas

    def _fitted(self, panel: np.ndarray) -> np.ndarray:
        """The part of a tensor that shows the frame, in the size of a panel."""
        left, top, width, height = self._place
        return resized(panel[top : top + height, left : left + width], self._height, PANEL)


def _colored(name: str, planes: np.ndarray, standardised: bool) -> np.ndarray:
    """Planes of appearance or flow as a picture, uint8 [h, w, 3]."""
    if name == "flow":
        flow = planes / SPAN if standardised else planes - STILL_INPUT
        return color_flow(np.moveaxis(flow, 0, -1), FULL_FLOW)
    levels = np.rint(255 * np.clip(planes / SPAN + 0.5 if standardised else planes, 0, 1)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(np.broadcast_to(levels, (3, *levels.shape[1:])), 0, -1))


def _heat(error: np.ndarray) -> np.ndarray:
    """Errors in colours, black for 0: uint8 [h, w, 3]."""
    levels = np.rint(255 * np.clip(error / FULL_ERROR, 0, 1)).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
