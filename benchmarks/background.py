"""Backgrounds learned from the clip itself or from the training footage of its camera: the first seconds.

    python -m benchmarks.background

Motion boxes need a background. Four ways to have one, with the parameters of params.yaml:

clip      as the pipeline does: learned from frames spread over the first `history` of the clip, and only
          then is frame 0 processed
camera    learned from as many frames, spread over all training clips of the camera, before the clip begins;
          a training clip is left out of the background that it is measured with
warm-up   live: the frames of the first `history` have no motion
live      live, once the warm-up is over; only in clips that are long enough

"start" is the first SECONDS of a clip, "middle" as much in its middle, "after" as much after the warm-up.

No labels are read. The reference are pixels that differ by more than DIFFERENCE gray levels from a temporal
median scaled to the brightness of the frame, without shadows and small blobs. The median is that of the
training clips of the scene (Ped2 is a single scene, UP-Fall two, with and without a mattress), with as many
frames of each. Read the rows of training clips: in test clips the mattress lies elsewhere, so it is part of
their reference. "by clip" is the IoU by the median of the clip itself, which cannot show people who stand
still, or lie, for most of the clip, so it favours backgrounds that were learned from the clip. Figures are
means over clips, of their pixels in these seconds; a clip counts if the reference marks MIN_SHARE of them.

Footage: UCSD Ped2 and UP-Fall (9 frames per second, 320x240, gray) under VAD_DATASETS (default
../shared/data).
"""

import csv
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from vad.boxes import large_enough
from vad.detection.background import Foreground, clean, foreground, shadow
from vad.detection.blobs import MotionBoxes
from vad.detection.foreground_params import MOTION_BOXES
from vad.footage.extract import ExtractParams, extract
from vad.footage.probe import probe
from vad.pipeline import params
from vad.regions import PreprocessParams
from vad.regions.person_crop import PersonCrop
from vad.store import arrays
from vad.stream import Frame

DATA = Path(os.environ.get("VAD_DATASETS", Path(__file__).parents[2] / "shared" / "data"))
RAW = params.read(Path(__file__).parents[1] / "params.yaml")
SETTINGS = params.load("preprocess", PreprocessParams, RAW).foreground.resolve(MOTION_BOXES)
CROPS = params.load("preprocess.person_crop", PersonCrop.Params, RAW)
SECONDS = 2.0
DIFFERENCE = 15  # gray levels
MIN_SHARE = 0.001  # of the picture; 77 pixels of 320x240
DARK = 8  # gray levels below which brightness is not measured
Clips = dict[str, np.ndarray]  # frames, uint8 [T, H, W], by name


class Footage(NamedTuple):
    """The clips of a camera."""

    fps: float
    train: Clips
    test: Clips
    scene: dict[str, str]  # of each clip; clips of a scene look the same without people


class Figures(NamedTuple):
    """Masks and boxes in some seconds of a clip."""

    iou: float
    clip_iou: float  # with the reference by the median of the clip instead of the scene
    precision: float
    recall: float
    share: float  # of the picture that is foreground
    boxes: float  # motion boxes per frame


def load(folder: Path, sources: Sequence[tuple[Path, str]], how: ExtractParams) -> dict[str, Clips]:
    """Extracts clips, given by source and split; returns their frames by split and name."""
    clips: dict[str, Clips] = {"train": {}, "test": {}}
    for n, (source, split) in enumerate(sources):
        extract(folder / str(n), source, 0, probe(source).frames, how)
        clips[split][str(source)] = arrays.open_array(folder / str(n))[0]
    return clips


def ped2(folder: Path) -> Footage:
    root = DATA / "ucsd_ped2"
    sources = [(p, "train") for p in sorted(root.glob("Train/Train???"))]
    sources += [(p, "test") for p in sorted(root.glob("Test/Test???"))]
    return Footage(25.0, **load(folder, sources, ExtractParams()), scene={str(p): "" for p, _ in sources})


def upfall(folder: Path) -> Footage:
    root = DATA / "upfall"
    with open(root / "table.csv", newline="") as file:
        sources = [(root / row["file"], row["split"]) for row in csv.DictReader(file)]
    # a mattress lies in view in some activities, see the README of the footage
    bare = {f"Activity{number}" for number in (7, 8, 9, 10)}
    scene = {str(p): "bare" if p.parts[-3] in bare else "mattress" for p, _ in sources}
    return Footage(9.0, **load(folder, sources, ExtractParams(fps=9, max_side=320)), scene=scene)


def median(frames: Sequence[np.ndarray]) -> np.ndarray:
    return np.median(np.stack(frames), axis=0).astype(np.float32)


class Reference:
    """Pixels that differ from a temporal median, cleaned like the foreground."""

    def __init__(self, frames: np.ndarray, background: np.ndarray):
        self.frames, self.background = frames, background
        self._masks: dict[int, np.ndarray] = {}

    def __getitem__(self, t: int) -> np.ndarray:
        """The pixels of frame t, bool [H, W]."""
        if t not in self._masks:
            frame, lit = np.asarray(self.frames[t]), self.background >= DARK
            scaled = self.background * np.median(frame[lit] / self.background[lit])
            mask = np.abs(frame - scaled) > DIFFERENCE
            if SETTINGS.shadows and mask.any():
                mask &= ~shadow(frame, scaled, mask)
            self._masks[t] = clean(mask, SETTINGS.open, SETTINGS.close, SETTINGS.min_area)
        return self._masks[t]


def spread(clips: Clips, number: int) -> list[np.ndarray]:
    """Frames spread over clips that follow each other."""
    frames = [frame for clip in clips.values() for frame in clip]
    return [frames[i] for i in np.linspace(0, len(frames) - 1, number).round().astype(int)]


def learned(training: Clips, fps: float) -> Foreground:
    """The model of the background, learned from the training clips of the camera."""
    model = foreground(SETTINGS, fps)
    model._waiting = spread(training, SETTINGS.initial_frames)
    model._learn()  # type: ignore[attr-defined]
    return model


def masks(model: Foreground, frames: np.ndarray) -> Iterator[np.ndarray]:
    return model.results(Frame(t, float(t), pixels) for t, pixels in enumerate(frames))


def figures(
    masks: Iterator[np.ndarray], seconds: Mapping[str, range], references: Sequence[Reference]
) -> dict[str, Figures]:
    """Compares the masks of a clip with the references, in each of the named ranges of frames."""
    finder = MotionBoxes(CROPS.motion)
    # right, marked and true pixels for each reference
    pixels = {name: np.zeros((len(references), 3)) for name in seconds}
    boxes = dict.fromkeys(seconds, 0)
    size = references[0].background.size
    for t, mask in enumerate(islice(masks, max(r.stop for r in seconds.values()))):
        number = np.count_nonzero(large_enough(finder.next(mask), CROPS.min_width, CROPS.min_height))
        for name, frames in seconds.items():
            if t in frames:
                boxes[name] += int(number)
                for row, reference in zip(pixels[name], references, strict=True):
                    true = reference[t]
                    row += [np.count_nonzero(m) for m in (mask & true, mask, true)]
    out = {}
    for name, counts in pixels.items():
        length = len(seconds[name])
        right, marked, true = counts.T
        enough = true >= MIN_SHARE * size * length
        with np.errstate(invalid="ignore"):  # precision without marked pixels
            iou, precision, recall = (
                np.where(enough, right / n, np.nan) for n in (marked + true - right, marked, true)
            )
        share = marked[0] / size / length
        out[name] = Figures(iou[0], iou[1], precision[0], recall[0], share, boxes[name] / length)
    return out


def measure(footage: Footage, split: str, scene: str) -> dict[tuple[str, str], list[Figures]]:
    """Figures of the clips of a split and scene, by seconds and way."""
    clips = footage.train if split == "train" else footage.test
    clips = {name: frames for name, frames in clips.items() if footage.scene[name] == scene}
    out: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    length = round(footage.fps * SECONDS)
    training = [clip for name, clip in footage.train.items() if footage.scene[name] == scene]
    empty = median([frame for clip in training for frame in clip[:: len(clip) // 16][:16]])
    for name, frames in clips.items():
        references = [Reference(frames, background) for background in (empty, median(list(frames)))]
        middle, history = (len(frames) - length) // 2, SETTINGS.history_frames(footage.fps)
        start, after = {"start": range(length)}, {"after": range(history, history + length)}
        seconds = {**start, "middle": range(middle, middle + length)}
        long_enough = len(frames) >= history + length
        if long_enough:
            seconds |= after
        ways = {
            "clip": (foreground(SETTINGS, footage.fps), seconds),
            "camera": (learned({k: v for k, v in footage.train.items() if k != name}, footage.fps), seconds),
            "warm-up": (foreground(SETTINGS, footage.fps, skip_warm_up=True), start),
        }
        if long_enough:
            ways["live"] = (foreground(SETTINGS, footage.fps, skip_warm_up=True), after)
        for way, (model, ranges) in ways.items():
            masks = model.results(Frame(t, t / footage.fps, pixels) for t, pixels in enumerate(frames))
            for when, row in figures(masks, ranges, references).items():
                out[when, way].append(row)
    return out


def table(name: str, rows: Mapping[tuple[str, str], Sequence[Figures]]) -> None:
    """Prints the means over clips; boxes also relative to those in the middle of clips in the way `clip`."""
    usual = np.mean([row.boxes for row in rows["middle", "clip"]])
    for when in ("start", "middle", "after"):
        for (_, way), clips in ((key, clips) for key, clips in rows.items() if key[0] == when):
            values = np.array(clips)
            iou, by_clip, precision, recall = (column[~np.isnan(column)] for column in values.T[:4])
            share, boxes = values[:, 4:].mean(axis=0)
            figures = [iou.mean(), iou.min()]
            figures += [by_clip.mean(), by_clip.min()]
            figures += [precision.mean() if len(precision) else np.nan, recall.mean()]
            print(
                f"{f'{name} {when}':<30}{way:<8}{f'{len(iou)} of {len(clips)}':>9}"
                + "".join("–".rjust(10) if np.isnan(value) else f"{value:>10.3f}" for value in figures)
                + f"{100 * share:>8.2f}{boxes:>8.2f}{boxes / usual:>7.2f}",
                flush=True,
            )


def main() -> None:
    cv2.setNumThreads(1)
    titles = ("IoU", "worst", "by clip", "worst", "precision", "recall")
    print(
        f"{'footage, seconds':<30}{'way':<8}{'clips':>9}{''.join(title.rjust(10) for title in titles)}"
        f"{'area %':>8}{'boxes':>8}{'ratio':>7}"
    )
    for name, folder, read in (("Ped2", "ucsd_ped2", ped2), ("UP-Fall", "upfall", upfall)):
        if not (DATA / folder).is_dir():
            print(f"skipped: {DATA / folder} not found; set VAD_DATASETS to the folder that has it")
            continue
        with tempfile.TemporaryDirectory(prefix="vad-bench-") as extracted:
            footage = read(Path(extracted))
            for split, scene in product(("train", "test"), sorted(set(footage.scene.values()))):
                table(f"{name} {split} {scene}".strip(), measure(footage, split, scene))


if __name__ == "__main__":
    main()
