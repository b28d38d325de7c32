"""Background subtraction: the pixels of each frame that differ from the background of a fixed camera.

Every method first learns the background from frames spread over the first `history` seconds, and then
processes all frames from frame 0 on. So the first frames are not foreground as a whole, and a person who
stands still at the beginning and then leaves does not leave a ghost (live cameras skip this warm-up).
`median` learns anew from every `history` seconds before it processes them, and is therefore for recorded
footage only.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from vad.detection.foreground_params import ForegroundSettings
from vad.detection.lazy import LazyProcessor
from vad.stream import Frame

SHADOW_RATIO = 0.5, 1.1  # range of the ratio of frame to background in a shadow; above 1 to allow for noise
EDGE = 0.08  # standard deviation of that ratio in 3x3 pixels above which there is an edge
COLOUR_SPREAD = 0.1  # range of that ratio over red, green and blue above which the colour itself differs
DARK = 8.0  # gray levels; darker pixels are too noisy to measure brightness by a ratio
CHANGED = 15  # gray levels of difference from the temporal median above which a pixel has changed
SAMPLES = 16  # frames from which that median is computed
CHUNK = 1 << 24  # bytes of frames that are sorted at a time for a median


def foreground(settings: ForegroundSettings, fps: float, *, skip_warm_up: bool = False) -> "Foreground":
    """Makes the processor that computes the foreground of each frame.

    Args:
        settings: the method, and how its masks are cleaned.
        fps: frames per second.
        skip_warm_up: for live cameras: the frames of the first `history` have no foreground, and their
            results come at once. Later masks differ a little, as the background has not adapted to these
            frames. Not for `median`.
    """
    if settings.method == "median":
        assert not skip_warm_up, "a median has no warm-up that could be skipped"
        return _Median(settings, fps)
    return _OpenCV(settings, fps, skip_warm_up=skip_warm_up)


class Foreground(LazyProcessor[Frame, np.ndarray]):
    """Foreground of each frame, bool [H, W].

    Until the background is learned, which takes the frames of `history` or the whole of a shorter stream,
    the pixels of these frames are kept (of stored frames, only views of a memory map); then the results of
    all of them are due. Results do not depend on the number of threads, which the caller sets with
    cv2.setNumThreads.
    """

    def __init__(self, settings: ForegroundSettings, fps: float):
        self.settings = settings
        self._history = settings.history_frames(fps)
        self._received = 0  # frames
        self._waiting: list[np.ndarray] = []  # the latest frames, for which the background is not learned yet

    def _clean(self, mask: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Removes shadows and small blobs from the pixels of a frame that differ from the background."""
        settings = self.settings
        if settings.shadows and mask.any():
            mask = mask & ~shadow(pixels, self._background(), mask)
        return clean(mask, settings.open, settings.close, settings.min_area)

    def _background(self) -> np.ndarray:
        """The background of the latest frame that was processed, [H, W] or [H, W, 3]."""
        raise NotImplementedError


def changing_share(frames: np.ndarray) -> float:
    """Share of pixels that differ from the temporal median of the clip by more than CHANGED.

    A share above about 0.3 means that the camera moves or the light changes.

    Args:
        frames: uint8 [T, H, W] or [T, H, W, 3]; SAMPLES frames spread over the clip are used.

    Returns:
        0 to 1.
    """
    # every second row and column is accurate enough for a share
    sample = frames[_spread(0, len(frames), SAMPLES), ::2, ::2].astype(np.float32)
    sample = sample if sample.ndim == 3 else sample.mean(axis=3)
    return float((np.abs(sample - np.median(sample, axis=0)) > CHANGED).mean())


def shadow(frame: np.ndarray, background: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Detects the foreground pixels that are shadows on the background.

    In a shadow, the ratio of frame to background is below 1, varies slowly from pixel to pixel, and is the
    same in all colours (Jacques, Jung and Musse, SIBGRAPI 2005). Plain clothes in front of a plain wall look
    the same, but have an edge all around them, whereas a soft shadow fades into the lit background. So only
    pixels connected to pixels outside the mask without an edge in between count as shadow.

    Args:
        frame: uint8 [H, W] or [H, W, 3].
        background: of the same shape.
        mask: the foreground, bool [H, W], not empty.

    Returns:
        bool [H, W], a subset of `mask`.
    """
    # only the part of the frame around the foreground
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    part = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
    foreground = np.ascontiguousarray(mask[part])
    # plus 1, which avoids division by 0 and damps the noise of dark pixels
    ratio = cv2.divide(frame[part].astype(np.float32) + 1, background[part].astype(np.float32) + 1)
    # of the foreground and the pixels next to it, those where the ratio is smooth and within its range
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    smooth = np.asarray(cv2.dilate(foreground.view(np.uint8), cross), np.uint8)
    for colour in cv2.split(ratio):
        mean, variance = cv2.blur(colour, (3, 3)), cv2.sqrBoxFilter(colour, cv2.CV_32F, (3, 3))
        # variance = mean of squares - square of mean; rounding may make it slightly negative, hence the -1
        cv2.subtract(variance, cv2.multiply(mean, mean, dst=mean), dst=variance)
        smooth &= np.asarray(cv2.inRange(colour, *SHADOW_RATIO), np.uint8)
        smooth &= np.asarray(cv2.inRange(variance, -1, EDGE**2), np.uint8)
    if ratio.ndim == 3:
        smooth[np.ptp(ratio, axis=2) > COLOUR_SPREAD] = 0
    number, areas = cv2.connectedComponents(smooth, connectivity=4)
    reaches_background = np.zeros(number, bool)
    reaches_background[areas[(smooth > 0) & ~foreground]] = True
    shaded = foreground & (smooth > 0)
    shaded[shaded] = reaches_background[areas[shaded]]
    shadows = np.zeros_like(mask)
    shadows[part] = shaded
    return shadows


def clean(mask: np.ndarray, opening: int, closing: int, min_area: int) -> np.ndarray:
    """Opens and closes a mask, then removes small blobs.

    Args:
        mask: bool [H, W].
        opening: diameter of the ellipse of the opening in pixels; 0 for no opening.
        closing: diameter of the ellipse of the closing in pixels; 0 for no closing.
        min_area: smallest area of a blob that is kept, in pixels; pixels are connected by sides and corners.

    Returns:
        bool [H, W].
    """
    cleaned = mask.astype(np.uint8)
    for operation, diameter in ((cv2.MORPH_OPEN, opening), (cv2.MORPH_CLOSE, closing)):
        if diameter > 1:
            ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter, diameter))
            cleaned = np.asarray(cv2.morphologyEx(cleaned, operation, ellipse), np.uint8)
    if min_area > 1:
        _, blobs = cv2.connectedComponents(cleaned, connectivity=8)
        # only the set pixels are counted, which are few
        set_pixels = cleaned > 0
        numbers = blobs[set_pixels]
        cleaned[set_pixels] = (np.bincount(numbers) >= min_area)[numbers]
    return cleaned.view(bool)


class _OpenCV(Foreground):
    """The background models of OpenCV.

    `mog2`: a mixture of Gaussians per pixel (Zivkovic, ICPR 2004). `knn`: nearest neighbours among samples
    per pixel (Zivkovic and van der Heijden, Pattern Recognition Letters 2006).
    """

    def __init__(self, settings: ForegroundSettings, fps: float, *, skip_warm_up: bool):
        super().__init__(settings, fps)
        self._skip = skip_warm_up
        self._rate, self._repeats = settings.learning_rate, settings.initial_frames
        self._learned = False
        self._initial = set(_spread(0, self._history, settings.initial_frames).tolist())
        # without OpenCV's detection of shadows, which in gray frames also removes dark clothes
        if settings.method == "mog2":
            mog2 = cv2.createBackgroundSubtractorMOG2(self._history, settings.threshold, detectShadows=False)
            mog2.setBackgroundRatio(settings.background_ratio)
            self._model: cv2.BackgroundSubtractor = mog2
        else:
            knn = cv2.createBackgroundSubtractorKNN(self._history, settings.threshold, detectShadows=False)
            samples = 3 * knn.getNSamples()  # three sets, of short, medium and long memory
            knn.setkNNSamples(max(1, round((1 - settings.background_ratio) * samples)))
            self._model = knn
            self._repeats = max(self._repeats, samples)  # fewer updates would leave samples uninitialised
            if self._rate == 0:
                self._rate = 1e-6  # OpenCV divides by log(1 - rate): with 0 it would learn at once

    def stream(self, item: Frame) -> Iterator[np.ndarray]:
        """Yields the masks that have become ready."""
        t, pixels = self._received, np.asarray(item.pixels)  # a memory map is slower
        self._received += 1
        if self._learned:
            yield self._mask(t, pixels)
            return
        # a frame that does not wait for its mask is kept only if the background is learned from it
        self._waiting.append(pixels if t in self._initial or not self._skip else np.empty(0, np.uint8))
        if self._skip:
            if self._received == self._history:
                self._learn()
            yield np.zeros(pixels.shape[:2], bool)
        elif self._received == self._history:
            yield from self.rest()

    def rest(self) -> Iterator[np.ndarray]:
        """Yields the masks of the frames that wait."""
        if self._learned or self._skip or not self._waiting:
            return
        for t, pixels in enumerate(self._learn()):
            yield self._mask(t, pixels)

    def _learn(self) -> list[np.ndarray]:
        """Learns the background from the frames that wait, and returns these."""
        frames, self._waiting, self._learned = self._waiting, [], True
        # in random order, or knn would give most weight to the last frames; a short clip is repeated
        numbers = np.random.default_rng(0).permutation(_spread(0, len(frames), self.settings.initial_frames))
        for n, t in enumerate(np.resize(numbers, max(self._repeats, len(numbers))).tolist()):
            self._update(t, frames[t], 1 / (n + 1))  # a running mean: all frames have the same weight
        return frames

    def _mask(self, t: int, pixels: np.ndarray) -> np.ndarray:
        """Foreground of frame t; updates the background."""
        return self._clean(self._update(t, pixels, self._rate) > 0, pixels)

    def _update(self, t: int, pixels: np.ndarray, rate: float) -> np.ndarray:
        cv2.setRNGSeed(t + 1)  # knn replaces random samples; the seed makes the result repeatable
        return self._model.apply(pixels, learningRate=rate)

    def _background(self) -> np.ndarray:
        return self._model.getBackgroundImage()


class _Median(Foreground):
    """The temporal median of every `history`, scaled to the brightness of each frame."""

    def __init__(self, settings: ForegroundSettings, fps: float):
        super().__init__(settings, fps)
        self.lookahead = settings.lookahead(fps)
        self._rate = 1 / self._history if settings.learning_rate < 0 else settings.learning_rate
        self._before: list[np.ndarray] = []  # frames of the period before

    def stream(self, item: Frame) -> Iterator[np.ndarray]:
        """Yields the masks of a period when it is complete."""
        self._received += 1
        self._waiting.append(np.asarray(item.pixels))  # a memory map is slower
        if len(self._waiting) == self._history:
            yield from self.rest()

    def rest(self) -> Iterator[np.ndarray]:
        """Yields the masks of the frames that wait."""
        if not self._waiting:
            return
        # a full period also at the end of the clip
        period = [*self._before, *self._waiting][-self._history :]
        start = self._received - len(period)
        numbers = _spread(start, self._received, self.settings.initial_frames) - start
        self._median = _median([period[number] for number in numbers.tolist()])
        self._before, self._waiting = self._waiting, []
        for pixels in self._before:
            yield self._clean(self._differs(pixels), pixels)

    def _differs(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels of the next frame that differ from the background; updates the background."""
        frame = pixels.astype(np.float32)
        median = self._median[::4, ::4]  # every fourth pixel suffices to measure the overall brightness
        lit = median >= DARK
        brightness = np.median(frame[::4, ::4][lit] / median[lit]) if lit.any() else 1.0
        self._scaled = self._median * brightness
        difference = np.atleast_3d(np.abs(frame - self._scaled)).max(axis=2)  # the largest over the colours
        differs = difference > self.settings.threshold
        if self._rate > 0:
            # only background pixels are learned, or people who stand still would become background
            cv2.accumulateWeighted(frame, self._median, self._rate, (~differs).view(np.uint8))
        return differs

    def _background(self) -> np.ndarray:
        return self._scaled


def _spread(start: int, end: int, limit: int) -> np.ndarray:
    """At most `limit` frame numbers in [start, end), evenly spaced, int [n]."""
    return np.unique(np.linspace(start, end - 1, min(limit, end - start)).round().astype(int))


def _median(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Temporal median of frames, float32 [H, W] or [H, W, 3]."""
    # strip by strip, which bounds the memory
    rows = max(1, CHUNK // (len(frames) * frames[0][0].nbytes))
    strips = [
        np.median(np.stack([frame[top : top + rows] for frame in frames]), axis=0)
        for top in range(0, len(frames[0]), rows)
    ]
    return np.concatenate(strips).astype(np.float32)
