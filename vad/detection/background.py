"""Background subtraction: the pixels that differ from a fixed camera's background, frame by frame.

Every method first learns from frames of the clip's beginning, spread over `history`, and then judges
from frame 0 on: so the first frames are not foreground as a whole, and a person who stands in them leaves no
ghost behind. All methods look ahead that far; `median` does so again and again and is for recorded footage
only.
"""

from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np

from vad.detection.foreground_params import ForegroundSettings

SHADOW_RATIO = 0.5, 1.1  # of frame to background in a shadow; above 1 because of noise
EDGE = 0.08  # standard deviation of that ratio in 3x3 pixels; above it an edge passes through
COLOUR_SPREAD = 0.1  # of that ratio over red, green and blue; above it the colour differs, not the light
DARK = 8.0  # gray levels; the ratio of darker pixels says nothing about the light
CHANGED = 15  # gray levels between a pixel and its temporal median
SAMPLES = 16  # frames of which that median is taken
CHUNK = 1 << 24  # bytes of footage of which a median is taken at a time


def foreground_masks(frames: np.ndarray, settings: ForegroundSettings) -> Iterator[np.ndarray]:
    """Foreground of each frame.

    Memory does not grow with T: a few frames are held at a time (for a median `initial_frames` of them, a
    strip at a time). The masks are the same for any number of threads, which the caller sets by
    cv2.setNumThreads.

    Args:
        frames: uint8 [T, H, W] or [T, H, W, 3] RGB, best a memory map.
        settings: the method, and how its masks are cleaned.

    Yields:
        bool [H, W].
    """
    model = _METHODS[settings.method](frames, settings)
    for t, frame in enumerate(frames):
        mask = model.apply(t, frame)
        if settings.shadows and mask.any():
            mask = mask & ~shadow(frame, model.background(), mask)
        yield clean(mask, settings.open, settings.close, settings.min_area)


def changing_share(frames: np.ndarray) -> float:
    """Share of a clip's pixels, 0 to 1, that differ from its temporal median by more than CHANGED.

    Above about 0.3 the camera moves, or the light changes.

    Args:
        frames: as for `foreground_masks`; SAMPLES of them, spread over the clip, are compared.
    """
    sample = frames[_spread(0, len(frames), SAMPLES), ::2, ::2].astype(np.float32)
    sample = sample if sample.ndim == 3 else sample.mean(axis=3)
    return float((np.abs(sample - np.median(sample, axis=0)) > CHANGED).mean())


def shadow(frame: np.ndarray, background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Which foreground pixels are a shadow on the background.

    A shadow darkens: the ratio of frame to background changes slowly from pixel to pixel and is the same in
    all colours (Jacques, Jung and Musse, SIBGRAPI 2005). Plain clothes before a plain wall look the same,
    but have an edge all around, whereas a soft shadow fades into lit background; so only pixels that are
    connected, without an edge between, with pixels outside the mask are a shadow.

    Args:
        frame: [H, W] or [H, W, 3].
        background: of the same shape.
        mask: the foreground, bool [H, W].

    Returns:
        bool [H, W], a subset of `mask`.
    """
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
    inside = np.ascontiguousarray(mask[part])
    ratio = cv2.divide(frame[part].astype(np.float32) + 1, background[part].astype(np.float32) + 1)
    # the mask and the pixels around it, as far as the ratio is smooth and within its limits
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    smooth = np.asarray(cv2.dilate(inside.view(np.uint8), cross), np.uint8)
    for colour in cv2.split(ratio):
        mean, variance = cv2.blur(colour, (3, 3)), cv2.sqrBoxFilter(colour, cv2.CV_32F, (3, 3))
        cv2.subtract(variance, cv2.multiply(mean, mean, dst=mean), dst=variance)
        smooth &= np.asarray(cv2.inRange(colour, *SHADOW_RATIO), np.uint8)
        smooth &= np.asarray(cv2.inRange(variance, -1, EDGE**2), np.uint8)
    if ratio.ndim == 3:
        smooth[np.ptp(ratio, axis=2) > COLOUR_SPREAD] = 0
    number, areas = cv2.connectedComponents(smooth, connectivity=4)
    reaches_background = np.zeros(number, bool)
    reaches_background[areas[(smooth > 0) & ~inside]] = True
    shaded = inside & (smooth > 0)
    shaded[shaded] = reaches_background[areas[shaded]]
    out = np.zeros_like(mask)
    out[part] = shaded
    return out


def clean(mask: np.ndarray, opening: int, closing: int, min_area: int) -> np.ndarray:
    """Opens and closes a mask, then removes small blobs.

    Args:
        mask: bool [H, W].
        opening: diameter of the ellipse in pixels; 0 leaves the step out.
        closing: likewise.
        min_area: pixels of the smallest blob that stays; pixels are joined by sides or corners.

    Returns:
        bool [H, W].
    """
    out = mask.astype(np.uint8)
    for step, diameter in ((cv2.MORPH_OPEN, opening), (cv2.MORPH_CLOSE, closing)):
        if diameter > 1:
            ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
            out = np.asarray(cv2.morphologyEx(out, step, ellipse), np.uint8)
    if min_area > 1:
        _, blobs = cv2.connectedComponents(out, connectivity=8)
        set_pixels = out > 0
        numbers = blobs[set_pixels]
        out[set_pixels] = (np.bincount(numbers) >= min_area)[numbers]
    return out.view(bool)


class _BackgroundModel(Protocol):
    """The background of a clip as one of the methods learns it; frames come in order."""

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        """Pixels of frame t that differ from the background, bool [H, W], before it learns from them."""
        ...

    def background(self) -> np.ndarray:
        """Frame t without foreground, [H, W] or [H, W, 3]."""
        ...


class _OpenCV:
    """A mixture of Gaussians per pixel, or nearest neighbours among samples per pixel.

    `mog2`: Zivkovic, ICPR 2004. `knn`: Zivkovic and van der Heijden, Pattern Recognition Letters 2006.
    """

    def __init__(self, frames: np.ndarray, settings: ForegroundSettings):
        self.rate, repeats = settings.learning_rate, settings.initial_frames
        # OpenCV's test for shadows takes any darker gray for a shadow, dark clothes above all
        if settings.method == "mog2":
            mog2 = cv2.createBackgroundSubtractorMOG2(
                settings.history, settings.threshold, detectShadows=False
            )
            mog2.setBackgroundRatio(settings.background_ratio)
            self.model: cv2.BackgroundSubtractor = mog2
        else:
            knn = cv2.createBackgroundSubtractorKNN(settings.history, settings.threshold, detectShadows=False)
            samples = 3 * knn.getNSamples()  # it keeps the last frames, and samples of some and of many
            knn.setkNNSamples(max(1, round((1 - settings.background_ratio) * samples)))
            self.model = knn
            repeats = max(repeats, samples)  # fewer would leave places for samples empty
            if self.rate == 0:
                self.rate = 1e-6  # OpenCV divides by log(1 - rate): with 0 it learns at once
        # in random order, or knn would remember the last of them best; a short clip is repeated
        numbers = _spread(0, min(settings.history, len(frames)), settings.initial_frames)
        numbers = np.random.default_rng(0).permutation(numbers)
        for n, t in enumerate(np.resize(numbers, max(repeats, len(numbers)))):
            self._learn(int(t), frames[t], 1 / (n + 1))  # so that all frames weigh the same

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        return self._learn(t, frame, self.rate) > 0

    def background(self) -> np.ndarray:
        return self.model.getBackgroundImage()

    def _learn(self, t: int, frame: np.ndarray, rate: float) -> np.ndarray:
        cv2.setRNGSeed(t + 1)  # knn replaces samples at random
        return self.model.apply(np.asarray(frame), learningRate=rate)


class _Median:
    """The temporal median of every `history` frames, adapted to each frame's brightness."""

    def __init__(self, frames: np.ndarray, settings: ForegroundSettings):
        self.frames, self.settings = frames, settings
        self.rate = 1 / settings.history if settings.learning_rate < 0 else settings.learning_rate

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        history = self.settings.history
        if t % history == 0:
            end = min(t + history, len(self.frames))
            start = max(end - history, 0)  # so that the last median is of as many frames as the others
            self.level = _median(self.frames, _spread(start, end, self.settings.initial_frames))
        frame = frame.astype(np.float32)
        level = self.level[::4, ::4]  # enough to measure a change of light of the whole picture
        lit = level >= DARK
        brightness = np.median(frame[::4, ::4][lit] / level[lit]) if lit.any() else 1.0
        self.adapted = self.level * brightness
        difference = np.atleast_3d(np.abs(frame - self.adapted)).max(axis=2)  # of colours, the largest
        differs = difference > self.settings.threshold
        if self.rate > 0:
            cv2.accumulateWeighted(frame, self.level, self.rate, (~differs).view(np.uint8))
        return differs

    def background(self) -> np.ndarray:
        return self.adapted


_METHODS: dict[str, type[_OpenCV] | type[_Median]] = {"mog2": _OpenCV, "knn": _OpenCV, "median": _Median}


def _spread(start: int, end: int, limit: int) -> np.ndarray:
    """At most `limit` of the frame numbers in [start, end), evenly spread."""
    return np.unique(np.linspace(start, end - 1, min(limit, end - start)).round().astype(int))


def _median(frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Temporal median of the frames with these numbers, float32 [H, W] or [H, W, 3]."""
    rows = max(1, CHUNK // (len(numbers) * frames[0, 0].nbytes))
    strips = [np.median(frames[numbers, top : top + rows], axis=0) for top in range(0, frames.shape[1], rows)]
    return np.concatenate(strips).astype(np.float32)
