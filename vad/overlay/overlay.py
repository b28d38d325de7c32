"""The overlay: where and how a frame is anomalous, drawn onto its picture, and its score below it.

Colours are those of Okabe and Ito (2008, jfly.uni-koeln.de/color), which colour-blind people can distinguish;
what they say is also said by the thickness of lines, or in words.
"""

import math

import cv2
import numpy as np

from vad.overlay.score_strip import ALARM, FAINT, GROUND, LINE, ScoreStrip
from vad.overlay.scored_frame import ScoredFrame, SessionInfo
from vad.overlay.text import Color, draw_tag, draw_text, text_size
from vad.overlay.wording import clip_time, share_texts

QUIET: Color = (86, 180, 233)
RAISED: Color = (240, 228, 66)
WHITE: Color = (255, 255, 255)
HEAT = 0.4  # opacity of a cell with a high score
LEAST_WIDTH = 480  # pixels; smaller pictures are magnified, so that text has room


class Overlay:
    """Draws the scored frames of a source, one after another.

    Args:
        info: of their session.
        strip: whether the scores of the last seconds are drawn below the picture.
    """

    def __init__(self, info: SessionInfo, *, strip: bool = True):
        self.info = info
        height, width = info.picture_size
        self._factor = math.ceil(LEAST_WIDTH / width) if width < LEAST_WIDTH else 1
        self._height, self._width = height * self._factor, width * self._factor
        self._letters = max(13, round(self._width / 55))
        self._line = max(1, round(self._width / 640))
        self._bar = round(1.7 * self._letters)
        rows = max(round(6.5 * self._letters), self._height // 6) if strip else 0
        self._strip = (
            ScoreStrip(self._width, rows, round(0.8 * self._letters), info.threshold) if strip else None
        )
        # darkened, so that one sees where nothing can alarm
        zones = info.zones
        self._not_judged = ~zones.mask(self._height, self._width) if zones else None
        # sides are even, as H.264 needs them
        self._canvas = (even(self._height + self._bar + rows), even(self._width))

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the drawn pictures in pixels; both are even."""
        return self._canvas

    @property
    def picture_size(self) -> tuple[int, int]:
        """(height, width) of the part that shows the frame, in pixels."""
        return self._height, self._width

    def draw(self, scored: ScoredFrame) -> np.ndarray:
        """The picture of a scored frame with boxes and cells, below it a bar of text, and the scores so far.

        Args:
            scored: the next one, with a picture.

        Returns:
            uint8 [height, width, 3] RGB, of `size`.
        """
        canvas = np.empty((*self._canvas, 3), np.uint8)
        canvas[-1], canvas[:, -1] = GROUND, GROUND
        end = self._height + self._bar
        self._annotate(canvas[:end, : self._width], scored)
        if self._strip is not None:
            strip = self._strip.draw(scored.result.seconds, scored.result.score)
            canvas[end : end + len(strip), : self._width] = strip
        return canvas

    def still(self, scored: ScoredFrame) -> np.ndarray:
        """The picture of any scored frame as `draw` gives it, without the scores before.

        Returns:
            uint8 [height, width, 3] RGB.
        """
        canvas = np.empty((self._height + self._bar, self._width, 3), np.uint8)
        self._annotate(canvas, scored)
        return canvas

    def _annotate(self, canvas: np.ndarray, scored: ScoredFrame) -> None:
        assert scored.picture is not None
        height, width, line = self._height, self._width, self._line
        picture, result = canvas[:height], scored.result
        picture[:] = resized(scored.picture, height, width)
        if self._not_judged is not None:
            picture[self._not_judged] //= 2
        self._cells(picture, result.contributions)
        self._boxes(picture, scored)
        if result.alarmed:
            cv2.rectangle(picture, (0, 0), (width - 1, height - 1), ALARM, 4 * line)
            draw_tag(picture, "ALARM", 4 * line, 4 * line, round(1.4 * self._letters), WHITE, ALARM)
        self._text(canvas[height:], scored)

    def _cells(self, picture: np.ndarray, cells: np.ndarray | None) -> None:
        """Tints the cells whose contribution is above the threshold, the higher the more."""
        limit = self.info.threshold
        if cells is None or not (cells > limit).any():
            return
        alpha = np.where(cells > limit, np.clip(cells / max(limit, 1e-6) - 0.5, 0.5, 1) * HEAT, 0)
        size, cell = self.info.size, self.info.cell
        rows, columns = size[0] / cell, size[1] / cell  # the last cells may reach out of the picture
        # the cell of each row and column of the picture
        y = (np.arange(picture.shape[0]) * rows / picture.shape[0]).astype(int)
        x = (np.arange(picture.shape[1]) * columns / picture.shape[1]).astype(int)
        y0, y1 = np.flatnonzero(np.any(alpha, axis=1)[y])[[0, -1]] + [0, 1]
        x0, x1 = np.flatnonzero(np.any(alpha, axis=0)[x])[[0, -1]] + [0, 1]
        part, weight = picture[y0:y1, x0:x1], alpha[y[y0:y1, None], x[None, x0:x1], None].astype(np.float32)
        part[:] = part + (np.array(ALARM, np.float32) - part) * weight

    def _boxes(self, picture: np.ndarray, scored: ScoredFrame) -> None:
        """Outlines regions; the highest come last and lie above."""
        result = scored.result
        boxes = self.info.on_picture(result.regions.boxes) * self._factor
        for i in np.argsort(result.region_scores):
            if result.regions.sources[i] == "frame":
                continue
            ratio = result.region_scores[i] / max(self.info.threshold, 1e-6)
            x0, y0, x1, y1 = np.rint(boxes[i]).astype(int).tolist()
            corners = (x0, y0), (x1 - 1, y1 - 1)
            if ratio > 1:
                cv2.rectangle(picture, *corners, ALARM, 3 * self._line)
                text = f"{result.region_scores[i]:.1f}"
                rows = text_size(text, self._letters)[1]
                draw_tag(picture, text, x0, y0 - rows, self._letters, WHITE, ALARM)
            else:
                cv2.rectangle(picture, *corners, RAISED if ratio > 0.5 else QUIET, self._line)

    def _text(self, bar: np.ndarray, scored: ScoredFrame) -> None:
        """Writes time, state and score."""
        result, letters = scored.result, self._letters
        ground, ink = (ALARM, WHITE) if result.alarmed else (GROUND, LINE)
        bar[:] = ground
        y, pad = round(0.25 * letters), letters // 2
        time = moment(scored)
        score = f"score {result.score:.1f}, threshold {self.info.threshold:.1f}"
        wide = text_size(score, letters)[0]
        left = 2 * pad + text_size(time, letters)[0] + pad
        room = max(0, bar.shape[1] - wide - 2 * pad - left)
        state, color = "normal", FAINT
        if result.alarmed:
            # as many branches as there is room for
            shares = share_texts(result.shares)
            states = ["  ".join(["ALARM", ", ".join(shares[:n])]) for n in range(len(shares), -1, -1)]
            state = next((text for text in states if text_size(text, letters)[0] <= room), "ALARM")
            color = WHITE
        elif result.warming_up:
            state, color = "warming up: no motion yet", RAISED
        elif scored.event is not None:
            state, color = f"event {scored.event}", RAISED
        draw_text(bar, time, pad, y, letters, ink)
        draw_text(bar[:, left : left + room], state, 0, y, letters, color)
        draw_text(bar, score, bar.shape[1] - wide - pad, y, letters, ink)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The picture at another size; itself if it has that size.

    Args:
        picture: uint8 [H, W, 3].
        height, width: wanted, in pixels.
    """
    if picture.shape[:2] == (height, width):
        return picture
    shrinks = picture.shape[0] > height
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def even(side: int) -> int:
    """The side, or the next even one."""
    return side + side % 2


def moment(scored: ScoredFrame) -> str:
    """Time of a scored frame: date and time of day for streams, time since the start for files."""
    if scored.time is not None:
        return f"{scored.time:%Y-%m-%d %H:%M:%S}"
    return clip_time(scored.result.seconds)
