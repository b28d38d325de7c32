"""Synthetic footage with labels and exact masks, drawn by geometry instead of a camera or a learned model.

`generate` writes a data set in the layout `folder`; `render` returns the raw frames and masks of a clip, and
`instances` a mask per person or thing. Nothing here was tuned to a model: the generator was fixed before any
model was trained on its footage. No stage imports this package; it imports `store` and `footage.encode`.
"""

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vad import UserError
from vad.store.intervals import Intervals, intervals_of
from vad.synthetic.clips import CLIPS, DURATION, TINY, Script, cast
from vad.synthetic.drawing import Camera
from vad.synthetic.scene import CAMERAS, Actor, Light, Scene

__all__ = ["CLIPS", "DURATION", "TINY", "Script", "generate", "instances", "render"]

TITLE = "# Synthetic sample"


def render(
    script: Script, *, seed: int = 0, frames: int = 120, width: int = 176, height: int = 132
) -> tuple[np.ndarray, np.ndarray]:
    """Renders the raw footage of a clip, before encoding, and its ground truth.

    The result depends only on the arguments, not on other clips.

    Args:
        script: what happens in the clip.
        seed: of the random details that the script does not specify, 0 or more.
        frames: number of frames; a clip always shows DURATION seconds.
        width: of a frame, in pixels.
        height: of a frame, in pixels.

    Returns:
        (footage, uint8 RGB [frames, height, width, 3]; masks, bool [frames, height, width], True for visible
        pixels of anomalies).
    """
    scene, actors, rng = _set_up(script, seed, width, height)
    light = Light(scene.camera, rng)
    footage = np.empty((frames, height, width, 3), np.uint8)
    masks = np.empty((frames, height, width), bool)
    for i in range(frames):
        t = i * DURATION / frames
        picture, masks[i] = scene.picture(actors, t)
        footage[i] = light.sensor(picture, t)
    return footage, masks


def instances(
    script: Script, *, seed: int = 0, frames: int = 120, width: int = 176, height: int = 132
) -> Iterator[np.ndarray]:
    """Instance masks of the footage that `render` returns for the same arguments.

    Yields:
        For each frame, int32 [height, width]: the number of the visible person or thing, from 1 and constant
        throughout the clip; 0 elsewhere. A pixel belongs to whoever covers at least half of it; shadows and
        furniture are 0.
    """
    scene, actors, _ = _set_up(script, seed, width, height)
    for i in range(frames):
        yield scene.visible(actors, i * DURATION / frames)


def _set_up(
    script: Script, seed: int, width: int, height: int
) -> tuple[Scene, list[Actor], np.random.Generator]:
    """Sets up a clip: (the scene, all actors, the random generator for light and noise)."""
    camera = Camera(width, height)
    scene = CAMERAS[script.camera](camera, _rng(seed, script.camera))
    rng = _rng(seed, script.name)
    return scene, cast(script, camera, rng), rng


def _rng(seed: int, name: str) -> np.random.Generator:
    """A random generator that depends only on the seed and a name."""
    # not Python's `hash`, which differs from process to process
    digest = hashlib.sha256(name.encode()).digest()
    return np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])


def generate(
    out: Path,
    *,
    seed: int = 0,
    clips: Sequence[Script] = CLIPS,
    frames: int = 120,
    width: int = 176,
    height: int = 132,
    crf: int = 23,
    force: bool = False,
    progress: bool = False,
) -> dict[str, Intervals]:
    """Writes videos, labels.csv, masks and a README. After an error, no partial data set is left.

    Args:
        out: folder of the data set.
        seed: of all random details, 0 or more.
        clips: scripts of the clips.
        frames: number of frames per clip, 2 to 10 000.
        width: of a frame, in pixels; even, 32 to 1920.
        height: of a frame, in pixels; even, 32 to 1080.
        crf: compression of the videos, 0 (best quality) to 51.
        force: whether to replace an earlier output of this function.
        progress: whether to show a progress bar.

    Returns:
        Test clip -> anomalous intervals [start, end).

    Raises:
        UserError: for arguments out of range, and if `out` is not empty (unless `force` replaces a sample).
    """
    # imported here, so that `render` needs only NumPy and OpenCV
    from vad.footage.encode import encode

    _check(out, seed, frames, width, height, crf, force)
    labels: dict[str, Intervals] = {}
    out.parent.mkdir(parents=True, exist_ok=True)
    fps = frames / DURATION
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-", suffix=".part") as scratch:
        root = Path(scratch) / "sample"
        for script in tqdm(clips, "rendering", unit="clip", disable=not progress):
            footage, masks = render(script, seed=seed, frames=frames, width=width, height=height)
            encode(root / f"{script.name}.mp4", footage, fps, crf)
            split, _, name = script.name.partition("/")
            if split == "test":
                labels[name] = intervals_of(masks.reshape(len(masks), -1).max(axis=1))
                path = root / f"masks/{script.name}.npz"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.savez_compressed(path, masks)
        with open(root / "labels.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["clip", "start", "end"])
            writer.writerows((clip, *interval) for clip in sorted(labels) for interval in labels[clip])
        options = f"--seed {seed} --frames {frames} --width {width} --height {height} --crf {crf}"
        (root / "README.md").write_text(_readme(clips, labels, frames, fps, options), encoding="utf-8")
        if out.exists():
            shutil.rmtree(out)
        root.rename(out)
    return labels


def _check(out: Path, seed: int, frames: int, width: int, height: int, crf: int, force: bool) -> None:
    if seed < 0:
        raise UserError(f"seed is {seed}, expected 0 or more")
    for name, value, low, high in (
        ("frames", frames, 2, 10_000),
        ("width", width, 32, 1920),
        ("height", height, 32, 1080),
        ("crf", crf, 0, 51),
    ):
        if not low <= value <= high:
            raise UserError(f"{name} is {value}, expected {low} to {high}")
    for name, value in (("width", width), ("height", height)):
        if value % 2:
            raise UserError(f"{name} is {value}, expected an even number: the video codec halves the colours")
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file, expected a folder or nothing; choose another --out")
    if not any(out.iterdir()):
        return
    # only a folder that begins its README like a sample may be deleted
    readme = out / "README.md"
    is_sample = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(TITLE)
    if not is_sample:
        raise UserError(f"{out} holds something other than an earlier sample; choose another --out")
    if not force:
        raise UserError(f"{out} holds an earlier sample; replace it with --force or choose another --out")


def _readme(
    clips: Sequence[Script], labels: dict[str, Intervals], frames: int, fps: float, options: str
) -> str:
    """The README of the sample; `options` are those of the command that generates it."""
    rows = []
    for script in clips:
        split, _, name = script.name.partition("/")
        events = {str(type(act).__doc__).splitlines()[0] for act in script.acts} or {"Walkers only."}
        spans = ", ".join(f"[{a}, {b})" for a, b in labels[name]) if labels.get(name) else "none"
        rows.append(f"| {split} | {name} | {frames} | {spans} | {' '.join(sorted(events))} |")
    return README.format(title=TITLE, fps=f"{fps:g}", options=options, rows="\n".join(rows))


README = """\
{title}

Footage that nobody filmed, so that a fresh clone has something to run on: two fixed cameras, `hall` and
`yard`, with walkers at several depths, slow drift of the light and sensor noise. Drawn by `vad.synthetic`
in this repository; no image, no model and nobody's likeness went into it. Licence: MIT, as the repository.

    python -m vad.synthetic {options} --force

made it. The seed decides every frame; the bytes of the videos also depend on the build of the encoder,
which is why they are kept in git.

The generator was fixed before any model saw its footage. Unusual things happen early, in the middle and
late; they take the place of a walker, so that the number of people says little; walkers close to the camera
are as fast in pixels as most of what is unusual, and some of that lies or stands still. What learns nothing
therefore sees little; micro AUC over all test frames as committed (seed 0): time since the start of the clip
0.49, number of people 0.56, optical flow 0.46 (maximum) and 0.57 (mean). Contrast does give something
away, since what is unusual is also patterned: the mean difference to the frame before reaches 0.74.

## Layout

    train/<camera>/<clip>.mp4        normal footage
    test/<camera>/<clip>.mp4         footage with and without something unusual
    labels.csv                       clip,start,end: anomalous frames of test clips
    masks/test/<camera>/<clip>.npz   one array, bool [frames, height, width]: anomalous pixels

## Labels

Frames count from 0; an interval is [start, end), end exclusive. A test clip without a row is normal
throughout. A frame is anomalous exactly if its mask has a pixel. A mask holds the visible pixels of the
unusual person or thing (pixels covered by it at least half), without its shadow and without what hides it.
A runner, the cyclist, the dog and the suitcase are anomalous whenever they are in view; those who tow
the suitcase are not. Somebody who falls is anomalous from the first tipping of the body until upright
again, together with the papers scattered on the ground.

## Clips

{fps} frames per second.

| split | clip | frames | anomalous | what happens |
|---|---|---|---|---|
{rows}
"""
