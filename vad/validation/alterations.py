"""Alterations that make a stretch of normal footage anomalous.

| kind | what is shown | what it stands for |
|---|---|---|
| `sped_up` | somebody moves two or three times as fast | motion that is too fast: running, cycling |
| `reversed` | somebody moves backwards | motion in the wrong direction or order |
| `spliced` | somebody's motion is cut into pieces, shown in another order | motion that jumps |
| `pasted` | somebody from another time passes, enlarged or upside down | what does not belong there |

The first three are after M.-I. Georgescu et al., "Anomaly Detection in Video via Self-Supervised and
Multi-Task Learning" (CVPR 2021: the arrow of time, skipped frames), and M. Astrid et al., "Learning Not to
Reconstruct Anomalies" (BMVC 2021: skipped frames, patches); the last is after C.-L. Li et al., "CutPaste:
Self-Supervised Learning for Anomaly Detection and Localization" (CVPR 2021).

Each alters a part of the picture, as an anomaly seldom fills it: a box around the path of something that
moves shows other frames of the same clip. As the camera is fixed, background, light and sizes fit; the edges
of the box are soft in space and time. Only things that move are sped up, reversed or spliced, since for
things that stand still this changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from vad.validation.footage import Footage, Trajectory
from vad.validation.overlay import Overlay

FACTORS = (2, 3)  # of the speed of `sped_up`
PIECE = 0.4  # seconds; length of a piece of `spliced`
ENLARGED = 1.5, 2.0  # range of the factor by which a pasted thing is enlarged
FADE = 0.3  # seconds in which an overlay fades in, and out
MIN_DISPLACEMENT = 0.5  # displacement in a stretch, in heights of a thing, below which it is not altered
MIN_PRESENCE = 0.5  # share of the frames of a stretch in which a thing must have a box to be altered
PADDING = 0.3  # margin of the box around a path on each side, as a share of the thing's width and height
PASTED_SIDES = 0.08, 0.6  # range of a pasted thing's width and height, as shares of the frame's
MAX_SIDE = 0.8  # its largest width and height once enlarged, as a share of the frame's
MIN_DIFFERENCE = 12  # gray levels; a pixel that differs this much from the background belongs to the thing
MIN_FOREGROUND = 0.1  # share of such pixels in a box; with fewer the whole box is pasted
# Rectangles take the place of things if regions are whole frames.
RECTANGLE_SIDES = 0.3, 0.5  # range of a rectangle's width and height, as shares of the frame's
RECTANGLE_SPEED = 0.3  # of a pasted rectangle, in its heights per second
TRIES = 20  # random rectangles, or lines, of which one is taken

Box = Sequence[int]
Alter = Callable[[Footage, int, int, np.random.Generator], Overlay | None]


def sped_up(footage: Footage, start: int, end: int, rng: np.random.Generator) -> Overlay | None:
    """Somebody moves faster by one of FACTORS, and in the middle of the stretch is where they really were.

    Args:
        footage: the clip.
        start: first frame of the stretch.
        end: after its last frame.
        rng: random numbers.

    Returns:
        None if the clip is too short, or nobody moves.
    """
    factor = FACTORS[rng.integers(len(FACTORS))]
    middle = (start + end) // 2
    sources = middle + factor * (np.arange(start, end) - middle)
    return _in_place(footage, start, end, sources, rng)


def reversed_(footage: Footage, start: int, end: int, rng: np.random.Generator) -> Overlay | None:
    """Somebody moves as in the stretch, but backwards. Arguments and result are those of `sped_up`."""
    return _in_place(footage, start, end, np.arange(end - 1, start - 1, -1), rng)


def spliced(footage: Footage, start: int, end: int, rng: np.random.Generator) -> Overlay | None:
    """Somebody's motion is cut into pieces of PIECE seconds, which are shown in another order.

    Arguments and result are those of `sped_up`.
    """
    piece = max(2, round(PIECE * footage.fps))
    pieces = np.array_split(np.arange(start, end), max(2, round((end - start) / piece)))
    order = rng.permutation(len(pieces))
    if (np.diff(order) == 1).all():
        order = order[::-1]
    return _in_place(footage, start, end, np.concatenate([pieces[i] for i in order]), rng)


def pasted(footage: Footage, start: int, end: int, rng: np.random.Generator) -> Overlay | None:
    """A thing from another time moves as it did then, but elsewhere, and enlarged or upside down.

    If regions are whole frames, it is a rectangle of the picture. Arguments and result are those of
    `sped_up`.
    """
    length = end - start
    if (thing := _thing(footage, length, rng)) is None:
        return None
    source, (x0, y0, x1, y1), velocity = thing
    size, upside_down = (x1 - x0, y1 - y0), bool(rng.random() < 0.5)
    if not upside_down:
        limits = [MAX_SIDE * whole / side for whole, side in zip(footage.size, size, strict=True)]
        factor = max(1.0, min(rng.uniform(*ENLARGED), *limits))
        size = round(factor * size[0]), round(factor * size[1])
    corners = _line(np.array(footage.size) - size, velocity, length, rng)
    return Overlay(
        np.full(length, source),
        (x0, y0, x1, y1),
        corners,
        size,
        upside_down=upside_down,
        fade=round(FADE * footage.fps),
        outline=_outline(footage, source, (x0, y0, x1, y1)),
    )


KINDS: Mapping[str, Alter] = {
    "sped_up": sped_up,
    "reversed": reversed_,
    "spliced": spliced,
    "pasted": pasted,
}


def _in_place(
    footage: Footage,
    start: int,
    end: int,
    sources: np.ndarray,
    rng: np.random.Generator,
) -> Overlay | None:
    """Shows other frames in a box around the path of something that moves.

    Args:
        footage: the clip.
        start: first frame of the stretch.
        end: after its last frame.
        sources: the frames to show, int [end - start].
        rng: random numbers.

    Returns:
        None if a source lies outside the clip, or nothing moves.
    """
    first, last = int(sources.min()), int(sources.max()) + 1
    if first < 0 or last > len(footage):
        return None
    if footage.whole_frames:
        box = _busiest(footage, start, end, rng)
    else:
        moving = [
            track
            for track, trajectory in footage.trajectories(start, end).items()
            if len(trajectory.numbers) >= MIN_PRESENCE * (end - start)
            and np.hypot(*trajectory.displacement) >= MIN_DISPLACEMENT * trajectory.sides[1]
        ]
        if not moving:
            return None
        box = _around(footage.trajectories(first, last)[moving[rng.integers(len(moving))]], footage.size)
    corners = np.tile(box[:2], (end - start, 1))
    return Overlay(sources, box, corners, (box[2] - box[0], box[3] - box[1]), fade=round(FADE * footage.fps))


def _around(trajectory: Trajectory, size: tuple[int, int]) -> Box:
    """A box around a path with PADDING on each side, clipped to the frame."""
    low, high = trajectory.boxes[:, :2].min(0), trajectory.boxes[:, 2:].max(0)
    more = np.rint(PADDING * trajectory.sides).astype(int)
    return [*np.maximum(low - more, 0).tolist(), *np.minimum(high + more, size).tolist()]


def _rectangle(footage: Footage, rng: np.random.Generator) -> Box:
    """A random rectangle in the picture."""
    sides = [max(1, round(rng.uniform(*RECTANGLE_SIDES) * side)) for side in footage.size]
    x, y = (int(rng.integers(whole - side + 1)) for whole, side in zip(footage.size, sides, strict=True))
    return [x, y, x + sides[0], y + sides[1]]


def _busiest(footage: Footage, start: int, end: int, rng: np.random.Generator) -> Box:
    """Of TRIES random rectangles, the one that changes most between a stretch's first and middle frame."""
    changed = cv2.absdiff(*(np.asarray(footage.frames[t]) for t in (start, (start + end) // 2)))
    rectangles = [_rectangle(footage, rng) for _ in range(TRIES)]
    return max(rectangles, key=lambda box: float(changed[box[1] : box[3], box[0] : box[2]].mean()))


def _thing(
    footage: Footage, length: int, rng: np.random.Generator
) -> tuple[int, tuple[int, int, int, int], np.ndarray] | None:
    """What is pasted: a frame, a box in it, and its velocity in pixels per frame; None if nothing suits."""
    if footage.whole_frames:
        x0, y0, x1, y1 = _rectangle(footage, rng)
        angle = rng.uniform(0, 2 * np.pi)
        velocity = RECTANGLE_SPEED * (y1 - y0) / footage.fps * np.array([np.cos(angle), np.sin(angle)])
        return int(rng.integers(len(footage))), (x0, y0, x1, y1), velocity
    sides = (footage.boxes[:, 2:] - footage.boxes[:, :2]) / footage.size
    inside = (footage.boxes[:, :2] > 0).all(1) & (footage.boxes[:, 2:] < footage.size).all(1)
    fitting = (
        inside & (sides >= PASTED_SIDES[0]).all(1) & (sides <= PASTED_SIDES[1]).all(1) & (footage.tracks >= 0)
    )
    if not fitting.any():
        return None
    row = rng.choice(np.flatnonzero(fitting))
    number, (x0, y0, x1, y1) = int(footage.numbers[row]), footage.boxes[row].tolist()
    trajectories = footage.trajectories(number - length // 2, number + length // 2 + 1)
    return number, (x0, y0, x1, y1), trajectories[int(footage.tracks[row])].velocity


def _outline(footage: Footage, source: int, box: Box) -> np.ndarray | None:
    """Where a box differs from the background, with soft edges, float32 [h, w]; None if it hardly does."""
    x0, y0, x1, y1 = box
    part = np.s_[y0:y1, x0:x1]
    difference = cv2.absdiff(np.asarray(footage.frames[source][part]), footage.background[part])
    changed = (difference if difference.ndim == 2 else difference.max(2)) >= MIN_DIFFERENCE
    if changed.mean() < MIN_FOREGROUND:
        return None
    # closing fills holes where the thing looks like the background; its border mixes with the background
    across = max(3, (x1 - x0) // 4)
    joined = cv2.morphologyEx(changed.astype(np.uint8), cv2.MORPH_CLOSE, _ellipse(across))
    joined = cv2.dilate(joined, _ellipse(3)).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(joined, (3, 3), 0), np.float32)


def _ellipse(diameter: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))


def _line(room: np.ndarray, velocity: np.ndarray, length: int, rng: np.random.Generator) -> np.ndarray:
    """Positions along a line that stays in the picture, int [length, 2].

    Args:
        room: largest x and y, int [2].
        velocity: pixels per frame, float [2]; if no line fits, the last is kept within the picture.
        length: number of positions.
        rng: random numbers.
    """
    for _ in range(TRIES):
        positions = rng.uniform(0, room) + velocity * np.arange(length)[:, None]
        if ((positions >= 0) & (positions <= room)).all():
            break
    return np.rint(positions.clip(0, room)).astype(int)
