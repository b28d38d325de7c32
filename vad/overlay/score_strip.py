"""The strip below a picture: the score of the last seconds as a curve that moves to the left."""

from collections import deque

import cv2
import numpy as np

from vad.overlay.text import Color, draw_text, text_size

SPAN = 10.0  # seconds
GROUND: Color = (24, 24, 28)
LINE: Color = (220, 220, 220)
FAINT: Color = (150, 150, 150)
THRESHOLD: Color = (240, 228, 66)
ALARM: Color = (213, 94, 0)


class ScoreStrip:
    """Draws the scores of the last SPAN seconds, and the threshold as a dashed line.

    The threshold is always at half of the height. Below it the scale is linear, above it higher scores come
    ever nearer to the upper border, so that the scale never jumps.

    Args:
        width, height: of the strip, in pixels.
        letters: height of the font, in pixels.
        threshold: of scores.
    """

    def __init__(self, width: int, height: int, letters: int, threshold: float):
        self._letters, self._threshold = letters, max(threshold, 1e-6)
        self._points: deque[tuple[float, float]] = deque()  # seconds and height of the scores, 0 to 1
        self._top, self._bottom = 4, height - round(1.5 * letters)
        self._paper = np.full((height, width, 3), GROUND, np.uint8)
        self._level = self._row(0.5)
        for x in range(0, width, 12):
            cv2.line(self._paper, (x, self._level), (x + 6, self._level), THRESHOLD, 1)
        cv2.line(self._paper, (0, self._bottom), (width, self._bottom), FAINT, 1)
        self._ticks()
        draw_text(self._paper, "threshold", 4, self._level - round(1.2 * letters), letters, THRESHOLD)

    def draw(self, seconds: float, score: float) -> np.ndarray:
        """The strip with another score at its right border.

        Args:
            seconds: time of the score; where times go back, the curve begins anew.
            score: of the frame.

        Returns:
            uint8 [height, width, 3].
        """
        points = self._points
        if points and seconds < points[-1][0]:
            points.clear()
        points.append((seconds, scale(score / self._threshold)))
        while points[0][0] < seconds - SPAN:
            points.popleft()
        strip = self._paper.copy()
        width = strip.shape[1]
        curve = np.array(points)
        curve[:, 0] = (curve[:, 0] - seconds + SPAN) / SPAN * (width - 1)
        curve[:, 1] = self._bottom - curve[:, 1] * (self._bottom - self._top)
        line = np.rint(curve).astype(np.int32)
        area = np.concatenate([line, [[line[-1, 0], self._bottom], [line[0, 0], self._bottom]]])
        shade = np.zeros(strip.shape[:2], np.uint8)
        cv2.fillPoly(shade, [area], 1)
        below = strip[self._level : self._bottom]
        cv2.copyTo(below // 2 + 40, shade[self._level : self._bottom], below)
        # the part above the threshold in colour, the part below it in gray
        shade[self._level :] = 0
        strip[shade > 0] = ALARM
        cv2.polylines(strip, [line], False, LINE, 1, cv2.LINE_AA)
        return strip

    def _row(self, height: float) -> int:
        return round(self._bottom - height * (self._bottom - self._top))

    def _ticks(self) -> None:
        strip, width = self._paper, self._paper.shape[1]
        for back in np.arange(0, SPAN + 1e-6, 2):
            x = round((SPAN - back) / SPAN * (width - 1))
            cv2.line(strip, (x, self._bottom), (x, self._bottom + 3), FAINT, 1)
            text = f"-{back:g} s" if back else "now"
            wide, _ = text_size(text, self._letters)
            left = min(max(0, x - wide // 2), width - wide - 2)
            draw_text(strip, text, left, self._bottom + 3, self._letters, FAINT)


def scale(ratio: float) -> float:
    """The height of a score in the strip.

    Args:
        ratio: score by threshold.

    Returns:
        0 to 1; 0.5 at the threshold, 0.75 at twice as much.
    """
    return max(0.0, ratio / 2) if ratio <= 1 else 1 - 0.5 / ratio
