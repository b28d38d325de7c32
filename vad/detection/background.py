"""Background subtraction: the pixels of each frame that differ from the background of a fixed camera.

Every method first learns the background from frames spread over the first `history` frames, and then
processes all frames from frame 0 on. So the first frames are not foreground as a whole, and a person who
stands still at the beginning and then leaves does not leave a ghost. To do so, all methods read up to
`history` frames ahead; `median` does so throughout the clip and is therefore for recorded footage only.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from vad.detection.foreground_params import ForegroundSettings

SHADOW_RATIO = 0.5, 1.1  # range of the ratio of frame to background in a shadow; above 1 to allow for noise
EDGE = 0.08  # standard deviation of that ratio in 3x3 pixels above which there is an edge
COLOUR_SPREAD = 0.1  # range of that ratio over red, green and blue above which the colour itself differs
DARK = 8.0  # gray levels; darker pixels are too noisy to measure brightness by a ratio
CHANGED = 15  # gray levels of difference from the temporal median above which a pixel has changed
SAMPLES = 16  # frames from which that median is computed
CHUNK = 1 << 24  # bytes of frames that are sorted at a time for a median


def foreground_masks(frames: np.ndarray, settings: ForegroundSettings) -> Iterator[np.ndarray]:
    """Computes the foreground of each frame.

    Memory does not grow with T: a few frames are in memory at a time (for a median, a strip of
    `initial_frames` frames). The result does not depend on the number of threads, which the caller sets with
    cv2.setNumThreads.

    Args:
        frames: uint8 [T, H, W] or [T, H, W, 3] RGB, preferably a memory map.
        settings: the method, and how its masks are cleaned.

    Yields:
        The foreground of each frame, bool [H, W].
    """
    model = _METHODS[settings.method](frames, settings)
    for t, frame in enumerate(frames):
        mask = model.apply(t, frame)
        if settings.shadows and mask.any():
            mask = mask & ~shadow(frame, model.background(), mask)
        yield clean(mask, settings.open, settings.close, settings.min_area)


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


class _OpenCV:
    """The background models of OpenCV.

    `mog2`: a mixture of Gaussians per pixel (Zivkovic, ICPR 2004). `knn`: nearest neighbours among samples
    per pixel (Zivkovic and van der Heijden, Pattern Recognition Letters 2006).
    """

    def __init__(self, frames: np.ndarray, settings: ForegroundSettings):
        self.rate, repeats = settings.learning_rate, settings.initial_frames
        # without OpenCV's detection of shadows, which in gray frames also removes dark clothes
        if settings.method == "mog2":
            mog2 = cv2.createBackgroundSubtractorMOG2(
                settings.history, settings.threshold, detectShadows=False
            )
            mog2.setBackgroundRatio(settings.background_ratio)
            self.model: cv2.BackgroundSubtractor = mog2
        else:
            knn = cv2.createBackgroundSubtractorKNN(settings.history, settings.threshold, detectShadows=False)
            samples = 3 * knn.getNSamples()  # three sets, of short, medium and long memory
            knn.setkNNSamples(max(1, round((1 - settings.background_ratio) * samples)))
            self.model = knn
            repeats = max(repeats, samples)  # fewer updates would leave samples uninitialised
            if self.rate == 0:
                self.rate = 1e-6  # OpenCV divides by log(1 - rate): with 0 it would learn at once
        # in random order, or knn would give most weight to the last frames; a short clip is repeated
        numbers = _spread(0, min(settings.history, len(frames)), settings.initial_frames)
        numbers = np.random.default_rng(0).permutation(numbers)
        for n, t in enumerate(np.resize(numbers, max(repeats, len(numbers)))):
            self._learn(int(t), frames[t], 1 / (n + 1))  # a running mean: all frames have the same weight

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        """Pixels of frame t that differ from the background, bool [H, W]; then updates the background."""
        return self._learn(t, frame, self.rate) > 0

    def background(self) -> np.ndarray:
        """The background at the latest frame, [H, W] or [H, W, 3]."""
        return self.model.getBackgroundImage()

    def _learn(self, t: int, frame: np.ndarray, rate: float) -> np.ndarray:
        cv2.setRNGSeed(t + 1)  # knn replaces random samples; the seed makes the result repeatable
        return self.model.apply(np.asarray(frame), learningRate=rate)


class _Median:
    """The temporal median of every `history` frames, scaled to the brightness of each frame."""

    def __init__(self, frames: np.ndarray, settings: ForegroundSettings):
        self.frames, self.settings = frames, settings
        self.rate = 1 / settings.history if settings.learning_rate < 0 else settings.learning_rate

    def apply(self, t: int, frame: np.ndarray) -> np.ndarray:
        history = self.settings.history
        if t % history == 0:
            end = min(t + history, len(self.frames))
            start = max(end - history, 0)  # a full period also at the end of the clip
            self.median = _median(self.frames, _spread(start, end, self.settings.initial_frames))
        frame = frame.astype(np.float32)
        median = self.median[::4, ::4]  # every fourth pixel suffices to measure the overall brightness
        lit = median >= DARK
        brightness = np.median(frame[::4, ::4][lit] / median[lit]) if lit.any() else 1.0
        self.scaled = self.median * brightness
        difference = np.atleast_3d(np.abs(frame - self.scaled)).max(axis=2)  # the largest over the colours
        differs = difference > self.settings.threshold
        if self.rate > 0:
            # only background pixels are learned, or people who stand still would become background
            cv2.accumulateWeighted(frame, self.median, self.rate, (~differs).view(np.uint8))
        return differs

    def background(self) -> np.ndarray:
        return self.scaled


_METHODS: dict[str, type[_OpenCV] | type[_Median]] = {"mog2": _OpenCV, "knn": _OpenCV, "median": _Median}


def _spread(start: int, end: int, limit: int) -> np.ndarray:
    """At most `limit` frame numbers in [start, end), evenly spaced, int [n]."""
    return np.unique(np.linspace(start, end - 1, min(limit, end - start)).round().astype(int))


def _median(frames: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Temporal median of the frames with these numbers, float32 [H, W] or [H, W, 3]."""
    # strip by strip, which bounds the memory
    rows = max(1, CHUNK // (len(numbers) * frames[0, 0].nbytes))
    strips = [np.median(frames[numbers, top : top + rows], axis=0) for top in range(0, frames.shape[1], rows)]
    return np.concatenate(strips).astype(np.float32)
