"""Background subtraction: what stands out of a fixed camera's background, frame by frame.

Every method first learns from frames of the clip's beginning, spread over `history`, and then judges
from frame 0 on: so the first frames are no foreground, and who stands in them leaves no ghost behind.
All of them look ahead that far; `median` does so again and again and is for recorded footage only.
"""

from collections.abc import Iterator
from typing import Literal, Protocol

import cv2
import numpy as np
from pydantic import field_validator

from vad.pipeline.params import Field, Section

THRESHOLDS = {"mog2": 16.0, "knn": 400.0, "median": 15.0}  # OpenCV's own; for median measured on the sample
DARKEST, BRIGHTEST = 0.5, 1.1  # of the background, what may be a shadow; a little over 1 for noise
UNEVEN = 0.08  # standard deviation of that ratio in 3x3 pixels from which on it is an edge
COLOURED = 0.1  # spread of that ratio over red, green and blue from which on it is another colour
DARK = 8.0  # gray levels, below which a pixel tells nothing of the light
CHANGED = 15  # gray levels from the usual picture from which on a pixel has changed
SHOTS = 16  # frames that tell what is usual
CHUNK = 1 << 24  # bytes of footage of which a median is taken at a time


class ForegroundParams(Section):
    """`foreground`: how the background is learned, and what becomes of the pixels that differ from it.

    `method`: `mog2` (a mixture of Gaussians per pixel; Zivkovic, ICPR 2004), `knn` (nearest neighbours
    among samples per pixel; Zivkovic and van der Heijden, Pattern Recognition Letters 2006), `median`
    (temporal median of `history` frames at a time, scaled to the brightness of each frame).
    `history`: frames after which the past is forgotten. `warm_up`: how many of the first `history`
    frames, spread evenly, it learns from before it judges frame 0 (a shorter clip has fewer); for
    `median`, how many of each `history` frames the median is taken of.
    `learning_rate`: 0 the background stays as first learned, 1 it is the last frame; -1 OpenCV's choice,
    which comes down to 1 / history. For `median` the share by which a pixel that is not foreground
    follows the frame; -1 is 1 / history there, too.
    `threshold`: mog2: squared distance in standard deviations; knn: squared distance in gray levels
    (summed over colours); median: gray levels (of the colour that differs most); null: 16, 400 and 15.
    `background_ratio`: share of the past that the background accounts for: what is seen at a pixel for
    less than about 1 - background_ratio of the time is foreground. Lower, if people stand still; higher,
    if trees wave. `median` takes what is seen half of the time.
    `shadows`: whether shadows are taken out of the foreground (see `shadow`).
    `open`, `close`: diameters in px of the ellipses that take away what is smaller and fill gaps that
    are smaller, 0 for none. `min_area`: px; smaller blobs are taken away.
    """

    method: Literal["mog2", "knn", "median"]
    history: int = Field(ge=1, le=100_000)
    warm_up: int = Field(ge=1, le=1000)
    learning_rate: float = Field(ge=-1, le=1)
    threshold: float | None = Field(gt=0)
    background_ratio: float = Field(gt=0, lt=1)
    shadows: bool
    open: int = Field(ge=0, le=255)
    close: int = Field(ge=0, le=255)
    min_area: int = Field(ge=0)

    @field_validator("learning_rate")
    @classmethod
    def _automatic_or_share(cls, rate: float) -> float:
        if -1 < rate < 0:
            raise ValueError("should be -1 or from 0 to 1")
        return rate


def foreground(frames: np.ndarray, params: ForegroundParams) -> Iterator[np.ndarray]:
    """Foreground of each frame, bool [H, W].

    `frames` is uint8 [T, H, W] or [T, H, W, 3] in RGB, best a memory map: a few frames are held at a time
    (for a median `warm_up` of them, a strip at a time), whatever T is. The same frames give the same
    masks, whatever the number of threads; the caller sets that by cv2.setNumThreads.
    """
    model = _METHODS[params.method](frames, params)
    for t, frame in enumerate(frames):
        mask = model.apply(t, frame)
        if params.shadows and mask.any():
            mask &= ~shadow(frame, model.background(), mask)
        yield clean(mask, params.open, params.close, params.min_area)


def changing(frames: np.ndarray) -> float:
    """Share of a clip's pixels that differ from its usual picture, whatever finds its foreground.

    `frames` is as in `foreground`. Of SHOTS frames, spread over the clip, each is compared with their
    temporal median. A share above about 0.3 means that the camera moves, or that the light changes.
    """
    shots = frames[_spread(0, len(frames), SHOTS), ::2, ::2].astype(np.float32)
    shots = shots if shots.ndim == 3 else shots.mean(axis=3)
    return float((np.abs(shots - np.median(shots, axis=0)) > CHANGED).mean())


def shadow(frame: np.ndarray, background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which pixels of `mask` are a shadow rather than a thing that differs from the background.

    A shadow darkens: the ratio of frame to background, at least DARKEST, changes slowly from pixel to
    pixel and is the same in all colours (Jacques, Jung and Musse, SIBGRAPI 2005). Plain clothes before a
    plain wall do as much, but have an edge all around, whereas a soft shadow passes into lit background;
    so only what is joined with pixels outside the mask, without an edge between, is a shadow.
    `frame` and `background` are [H, W] or [H, W, 3]; `mask` and what is returned bool [H, W].
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
    inside = np.ascontiguousarray(mask[part])
    ratio = cv2.divide(frame[part].astype(np.float32) + 1, background[part].astype(np.float32) + 1)
    # the mask and the pixels around it, as far as there is no edge
    alike = cv2.dilate(inside.view(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    for one in cv2.split(ratio):
        mean, variance = cv2.blur(one, (3, 3)), cv2.sqrBoxFilter(one, cv2.CV_32F, (3, 3))
        cv2.subtract(variance, cv2.multiply(mean, mean, dst=mean), dst=variance)
        alike &= cv2.inRange(one, DARKEST, BRIGHTEST) & cv2.inRange(variance, -1, UNEVEN**2)
    if ratio.ndim == 3:
        alike[np.ptp(ratio, axis=2) > COLOURED] = 0
    number, areas = cv2.connectedComponents(alike, connectivity=4)
    lit = np.zeros(number, bool)
    lit[areas[(alike > 0) & ~inside]] = True
    found = inside & (alike > 0)
    found[found] = lit[areas[found]]
    out = np.zeros_like(mask)
    out[part] = found
    return out


def clean(mask: np.ndarray, opening: int, closing: int, min_area: int) -> np.ndarray:
    """A mask, bool [H, W], opened and closed by ellipses of these diameters, without smaller blobs.

    A blob is joined by sides or corners. All in px; 0 leaves a step out.
    """
    out = mask.astype(np.uint8)
    for step, diameter in ((cv2.MORPH_OPEN, opening), (cv2.MORPH_CLOSE, closing)):
        if diameter > 1:
            ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
            out = cv2.morphologyEx(out, step, ellipse)
    if min_area > 1:
        _, blobs = cv2.connectedComponents(out, connectivity=8)
        some = out > 0
        numbers = blobs[some]
        out[some] = (np.bincount(numbers) >= min_area)[numbers]
    return out.view(bool)


class _Model(Protocol):
    """What a method knows of the background; frames come in order."""

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        """Pixels of frame t that differ from the background, bool [H, W], before it learns from it."""
        ...

    def background(self) -> np.ndarray:
        """What frame t would show if nobody was there, [H, W] or [H, W, 3]."""
        ...


class _OpenCV:
    """`mog2` and `knn`."""

    def __init__(self, frames: np.ndarray, params: ForegroundParams):
        self.rate = params.learning_rate
        threshold, least = params.threshold or THRESHOLDS[params.method], params.warm_up
        # OpenCV's own test for shadows takes any darker gray for one, dark clothes above all
        if params.method == "mog2":
            self.model = cv2.createBackgroundSubtractorMOG2(params.history, threshold, detectShadows=False)
            self.model.setBackgroundRatio(params.background_ratio)
        else:
            self.model = cv2.createBackgroundSubtractorKNN(params.history, threshold, detectShadows=False)
            samples = 3 * self.model.getNSamples()  # of the last, of some, and of many frames
            self.model.setkNNSamples(max(1, round((1 - params.background_ratio) * samples)))
            least = max(least, samples)  # fewer would leave places for samples empty
            if self.rate == 0:
                self.rate = 1e-6  # OpenCV divides by log(1 - rate): with 0 it learns at once
        # In random order, or knn would know the last of them best; a short clip is shown again
        numbers = _spread(0, min(params.history, len(frames)), params.warm_up)
        numbers = np.random.default_rng(0).permutation(numbers)
        for n, t in enumerate(np.resize(numbers, max(least, len(numbers)))):
            self._learn(int(t), frames[t], 1 / (n + 1))  # all count the same

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        return self._learn(t, frame, self.rate) > 0

    def background(self) -> np.ndarray:
        return self.model.getBackgroundImage()

    def _learn(self, t: int, frame: np.ndarray, rate: float) -> np.ndarray:
        cv2.setRNGSeed(t + 1)  # knn replaces samples at random
        return self.model.apply(np.asarray(frame), learningRate=rate)


class _Median:
    """`median`: one background for each `history` frames, adapted to each frame's brightness."""

    def __init__(self, frames: np.ndarray, params: ForegroundParams):
        self.frames, self.history, self.warm_up = frames, params.history, params.warm_up
        self.threshold = params.threshold or THRESHOLDS["median"]
        self.rate = 1 / params.history if params.learning_rate < 0 else params.learning_rate

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        if t % self.history == 0:
            end = min(t + self.history, len(self.frames))
            start = max(end - self.history, 0)  # the last ones look back as far as others look ahead
            self.level = _median(self.frames, _spread(start, end, self.warm_up))
        frame = frame.astype(np.float32)
        # the light may change as a whole: every fourth row and column tell enough
        level = self.level[::4, ::4]
        told = level >= DARK  # black stays black, whatever the light
        brightness = np.median(frame[::4, ::4][told] / level[told]) if told.any() else 1.0
        self.shown = self.level * brightness
        differs = np.atleast_3d(np.abs(frame - self.shown)).max(axis=2) > self.threshold
        if self.rate > 0:
            cv2.accumulateWeighted(frame, self.level, self.rate, (~differs).view(np.uint8))
        return differs

    def background(self) -> np.ndarray:
        return self.shown


_METHODS: dict[str, type[_OpenCV] | type[_Median]] = {"mog2": _OpenCV, "knn": _OpenCV, "median": _Median}


def _spread(start: int, end: int, most: int) -> np.ndarray:
    """At most so many of the frame numbers from `start` to before `end`, evenly spread."""
    return np.unique(np.linspace(start, end - 1, min(most, end - start)).round().astype(int))


def _median(frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Temporal median of the frames with these numbers, float32 [H, W] or [H, W, 3]."""
    rows = max(1, CHUNK // (len(numbers) * frames[0, 0].nbytes))
    strips = [np.median(frames[numbers, top : top + rows], axis=0) for top in range(0, frames.shape[1], rows)]
    return np.concatenate(strips).astype(np.float32)
