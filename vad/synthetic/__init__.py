"""Synthetic footage with labels and exact masks: drawn, never filmed, made by no learned model.

`generate` writes a data set in the `folder` layout; `render` gives the raw frames and masks of a clip,
`instances` the masks of everybody in it. Nothing here was tuned to any model: the generator was fixed before
a model was trained on its footage. No stage imports this package; it imports `store` and `footage.encode`.
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
    """Raw footage of a clip, before encoding, and its ground truth.

    The same arguments give the same arrays, whatever other clips there are.

    Args:
        script: what happens.
        seed: decides what the script leaves open, 0 or more.
        frames: how many; a clip shows DURATION seconds, whatever their number.
        width: pixels.
        height: pixels.

    Returns:
        frames, uint8 RGB [frames, height, width, 3], and masks, bool [frames, height, width], True on the
        visible pixels of anomalies.
    """
    scene, actors, rng = _stage(script, seed, width, height)
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
    """Which pixels show whom in the footage that `render` gives for the same arguments.

    Yields:
        of every frame, int32 [height, width]: 0 where nobody is, else the number of the person or thing, from
        1, the same through the clip. Visible pixels alone, covered at least half, without shadows and
        furniture.
    """
    scene, actors, _ = _stage(script, seed, width, height)
    for i in range(frames):
        yield scene.visible(actors, i * DURATION / frames)


def _stage(
    script: Script, seed: int, width: int, height: int
) -> tuple[Scene, list[Actor], np.random.Generator]:
    """(the place, all who appear, the generator of random numbers for the rest)."""
    camera = Camera(width, height)
    scene = CAMERAS[script.camera](camera, _rng(seed, script.camera))
    rng = _rng(seed, script.name)
    return scene, cast(script, camera, rng), rng


def _rng(seed: int, name: str) -> np.random.Generator:
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
    """Writes videos, labels.csv, masks and a README. The data set is complete or not there at all.

    Args:
        out: folder of the data set.
        seed: as for `render`; likewise frames, width and height, both even.
        clips: scripts of the clips.
        frames: per clip.
        width: pixels.
        height: pixels.
        crf: error of the video codec, 0 (least) to 51.
        force: replace an earlier output of this function.
        progress: show a bar.

    Returns:
        anomalous intervals [start, end) by test clip.

    Raises:
        UserError: for arguments that cannot work, and for an `out` that holds something already.
    """
    # here, so that `render` needs nothing but NumPy and OpenCV
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
    readme = out / "README.md"
    ours = readme.is_file() and readme.read_text(encoding="utf-8", errors="replace").startswith(TITLE)
    if not ours:
        raise UserError(f"{out} holds something else than an earlier sample; choose another --out")
    if not force:
        raise UserError(f"{out} holds an earlier sample; replace it with --force or choose another --out")


def _readme(
    clips: Sequence[Script], labels: dict[str, Intervals], frames: int, fps: float, options: str
) -> str:
    rows = []
    for script in clips:
        split, _, name = script.name.partition("/")
        what = {str(type(act).__doc__).splitlines()[0] for act in script.acts} or {"Walkers only."}
        spans = ", ".join(f"[{a}, {b})" for a, b in labels[name]) if labels.get(name) else "none"
        rows.append(f"| {split} | {name} | {frames} | {spans} | {' '.join(sorted(what))} |")
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
