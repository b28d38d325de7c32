"""Privacy: what of people is left in the pictures that are written.

A processor stands between the session and all outputs of pictures. It holds pictures back for a second, so
that it can hide somebody before the first frame in which they are detected. It hides what the model finds:
somebody whom the model misses for longer than that is shown by `blur`. `silhouette` shows what has kept still
for a second where the background was not known, otherwise only what keeps still for a minute or two.
"""

from collections import deque
from typing import Literal

import cv2
import numpy as np

from vad.overlay.learned_background import LearnedBackground
from vad.overlay.privacy_boxes import HOLD, PrivacyBoxes
from vad.overlay.scored_frame import ScoredFrame
from vad.stream import Processor

Privacy = Literal["none", "blur", "silhouette"]
CELLS = 4  # across the shorter side of a blurred box
CELLS_OF_PICTURE = 12  # the same of a blurred picture, in which people are smaller
LEAST_CELL = 3  # pixels
LEAST_STILL, MOST_STILL = 8, 25  # frames; a second, within these limits, after which a pixel is background
SILHOUETTE = (204, 121, 167)  # of Okabe and Ito


def processor(privacy: Privacy) -> Processor[ScoredFrame, ScoredFrame]:
    """Makes the processor through which scored frames of a session go before an output sees their pictures.

    Args:
        privacy: what is done to pictures.
    """
    return {"none": _Unchanged, "blur": Blur, "silhouette": Silhouettes}[privacy]()


class _Unchanged(Processor[ScoredFrame, ScoredFrame]):
    def process(self, item: ScoredFrame) -> list[ScoredFrame]:
        return [item]


class _Hiding(Processor[ScoredFrame, ScoredFrame]):
    """Holds scored frames, which need pictures, back until the boxes of the next HOLD seconds are there."""

    def __init__(self) -> None:
        self._boxes = PrivacyBoxes()
        self._waiting: deque[ScoredFrame] = deque()

    def process(self, item: ScoredFrame) -> list[ScoredFrame]:
        out: list[ScoredFrame] = []
        if self._waiting and item.result.seconds < self._waiting[-1].result.seconds:
            out = self.finish()  # times go back: of what was there before nothing is known any more
            self._boxes = PrivacyBoxes()
        self._boxes.add(item)
        self._waiting.append(item)
        while self._waiting[0].result.seconds + HOLD < item.result.seconds:
            out.append(self._next())
        return out

    def finish(self) -> list[ScoredFrame]:
        return [self._next() for _ in range(len(self._waiting))]

    def _next(self) -> ScoredFrame:
        scored = self._waiting.popleft()
        assert scored.picture is not None
        seconds, (height, width) = scored.result.seconds, scored.picture.shape[:2]
        hidden = self._hidden(scored, scored.picture, *self._boxes.at(seconds, height, width))
        self._boxes.forget(seconds)
        return scored._replace(picture=hidden)

    def _hidden(
        self, scored: ScoredFrame, picture: np.ndarray, boxes: np.ndarray, present: np.ndarray
    ) -> np.ndarray:
        """A new picture in which people are hidden.

        Args:
            scored: with the picture.
            picture: uint8 [H, W, 3].
            boxes, present: as from `PrivacyBoxes.at`.
        """
        raise NotImplementedError


class Blur(_Hiding):
    """Blurs people and moving things within their boxes.

    The whole picture is blurred where regions are whole frames, and while what moves is not known yet.
    """

    def _hidden(
        self, scored: ScoredFrame, picture: np.ndarray, boxes: np.ndarray, present: np.ndarray
    ) -> np.ndarray:
        if scored.result.warming_up or _of_whole_frames(scored):
            return blurred(picture, CELLS_OF_PICTURE)
        picture = picture.copy()
        # from the largest to the smallest, so that a smaller one shows no more of what both cover
        for x0, y0, x1, y1 in boxes.tolist():
            picture[y0:y1, x0:x1] = blurred(picture[y0:y1, x0:x1], CELLS)
        return picture


class Silhouettes(_Hiding):
    """Shows the learned background, and before it the silhouettes of people and moving things in one colour.

    Within the grown boxes a silhouette is where the picture differs from the background. Where the background
    is not known yet, it is the box. In modes that keep silhouettes, it is the foreground.
    """

    def __init__(self) -> None:
        super().__init__()
        self._background: LearnedBackground | None = None

    def _hidden(
        self, scored: ScoredFrame, picture: np.ndarray, boxes: np.ndarray, present: np.ndarray
    ) -> np.ndarray:
        height, width = size = picture.shape[:2]
        if self._background is None:
            still = min(max(round(scored.info.fps), LEAST_STILL), MOST_STILL)
            self._background = LearnedBackground(height, width, still)
        background = self._background
        result = scored.result
        if result.warming_up:
            return background.picture.copy()  # what moves is not known, so nothing can be learned
        foreground = result.regions.foreground
        if foreground is None and _of_whole_frames(scored):
            return np.full_like(picture, SILHOUETTE)
        inside = within(boxes, size)
        if foreground is None:
            silhouette = _filled(background.differs(picture)) & inside
            silhouette |= within(present, size) & ~background.known
        else:
            silhouette = cv2.resize(foreground.astype(np.float32), (width, height)) > 0.5
            around = np.ones((2 * (height // 30) + 3,) * 2, np.uint8)
            inside |= cv2.dilate(silhouette.astype(np.uint8), around) > 0
        background.learn(picture, ~inside)
        out = background.picture.copy()
        out[silhouette] = SILHOUETTE
        return out


def _of_whole_frames(scored: ScoredFrame) -> bool:
    """Whether regions are whole frames, so that nobody knows where people are."""
    result = scored.result
    parts = [result.regions] if result.not_judged is None else [result.regions, result.not_judged]
    return any((regions.sources == "frame").any() for regions in parts)


def blurred(picture: np.ndarray, cells: int) -> np.ndarray:
    """A blurred picture, of which only the mean colours of a few cells are left.

    Args:
        picture: uint8 [H, W, 3], at least one pixel.
        cells: square cells along the shorter side; fewer if they would be smaller than LEAST_CELL.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = picture.shape[:2]
    cell = max(min(height, width) / cells, LEAST_CELL)
    grid = max(1, round(width / cell)), max(1, round(height / cell))
    # the mean colours alone, then made smooth
    few = cv2.resize(picture, grid, interpolation=cv2.INTER_AREA)
    return cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR)


def within(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels within boxes.

    Args:
        boxes: int [N, 4], inside the picture.
        size: (height, width) of the picture.

    Returns:
        bool [height, width].
    """
    inside = np.zeros(size, bool)
    for x0, y0, x1, y1 in boxes.tolist():
        inside[y0:y1, x0:x1] = True
    return inside


def _filled(mask: np.ndarray) -> np.ndarray:
    """A mask, bool [H, W], without noise and holes."""
    size = max(3, min(mask.shape) // 80 | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    smooth = cv2.medianBlur(mask.astype(np.uint8), 5)
    closed = cv2.morphologyEx(smooth, cv2.MORPH_CLOSE, kernel, iterations=2)
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(closed), outlines, -1, 1, cv2.FILLED) > 0
