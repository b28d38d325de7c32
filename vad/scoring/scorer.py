"""Scores of frames, one by one, with all that goes into them."""

from collections import deque
from collections.abc import Collection, Iterable
from itertools import repeat

import numpy as np

from vad.scoring.calibration import ALL_CAMERAS, Calibration
from vad.scoring.contributions import Contributions, scaled
from vad.scoring.items import FrameScores
from vad.scoring.pooling import Pooled, Pooling
from vad.stream import FrameErrors, Processor

LEARNED = "learned"  # all branches that learned from normal footage, together


class Scorer(Processor[FrameErrors, FrameScores]):
    """Turns the errors of frames into scores.

    Results come up to `chunk` - 1 frames later than the lookahead demands.

    Args:
        calibration: turns errors into scores.
        size: (height, width) of a frame in pixels.
        cell: pixels of the frame per cell of a map, in each direction.
        fps: frames per second.
        camera: the camera whose standardisation is used; that of all cameras if it has none.
        learned: the branches that learned from normal footage, which are also scored together.
        cells: whether to score the cells, and to tell what they contribute to the score of their frame.
        chunk: number of frames that are handled at once, which is faster.
    """

    def __init__(
        self,
        calibration: Calibration,
        size: tuple[int, int],
        cell: int,
        fps: float,
        camera: str = ALL_CAMERAS,
        *,
        learned: Collection[str] = (),
        cells: bool = False,
        chunk: int = 1,
    ):
        self.calibration, self.size, self.cell, self.fps, self.camera = calibration, size, cell, fps, camera
        self.learned, self.cells, self.chunk = learned, cells, chunk
        smoothing = calibration.smoothing(fps)
        self.lookahead = smoothing.lookahead
        self._median, self._gaussian = smoothing.of_scores()
        self._pooling: Pooling | None = None  # made for the branches of the first frame
        self._branches: list[str] = []  # all calibrated branches that the frames have
        self._scored: dict[str, list[int]] = {}  # what is scored alone, and the positions of its branches
        self._fused: list[int] = []  # positions of the branches that are fused
        self._contributions: Contributions | None = None
        # of the frames whose scores are owed: their regions, with scores; then errors, score, cells and, if
        # contributions need them, the errors of cells
        self._waiting: deque[tuple[FrameErrors, np.ndarray]] = deque()
        self._pooled: deque[tuple[np.ndarray, float, np.ndarray | None, np.ndarray | None]] = deque()

    def process(self, item: FrameErrors) -> list[FrameScores]:
        if self._pooling is None:
            self._pooling = self._open(item)
        if self._waiting and item.source == self._waiting[-1][0].source:
            scores = self._waiting[-1][1]
        else:
            scores = self.calibration.region_scores(item, self.size, self.camera)
        self._waiting.append((item, scores))
        return self._scores(self._pooling.process(item))

    def finish(self) -> list[FrameScores]:
        if self._pooling is None:
            return []
        out = self._scores(self._pooling.finish())
        return out + self._results(
            np.concatenate([self._gaussian.extend(self._median.rest()), self._gaussian.rest()])
        )

    def _open(self, item: FrameErrors) -> Pooling:
        calibration, present = self.calibration, [*item.errors, *item.maps]
        self._branches = [
            branch for branch in dict.fromkeys(present) if branch in calibration.standardisation[ALL_CAMERAS]
        ]
        calibration.require(self._branches)
        self._scored = {branch: [i] for i, branch in enumerate(self._branches)}
        learned = [branch for branch in calibration.branches if branch in self.learned]
        # otherwise this would be a single branch again, or the score of all branches
        if 1 < len(learned) < len(calibration.branches):
            self._scored[LEARNED] = [self._branches.index(branch) for branch in learned]
        self._fused = [self._branches.index(branch) for branch in calibration.branches]
        if self.cells:
            self._contributions = Contributions(calibration, list(item.errors), list(item.maps), self.camera)
        return Pooling(
            self._branches,
            list(item.errors),
            calibration.params,
            self.size,
            self.cell,
            self.fps,
            calibration.all_gains,
            map_branches=calibration.branches if self.cells else (),
            chunk=self.chunk,
        )

    def _scores(self, chunks: list[Pooled]) -> list[FrameScores]:
        out = []
        for errors, maps in chunks:
            by_branch = dict(zip(self._branches, errors.T, strict=True))
            levels = self.calibration.standardise(by_branch, self.camera, self._branches)
            unsmoothed, *alone = (
                self.calibration.combine(levels[at]) for at in (self._fused, *self._scored.values())
            )
            cells: Iterable[np.ndarray | None] = repeat(None, len(errors))
            kept: Iterable[np.ndarray | None] = repeat(None, len(errors))
            if maps is not None:
                cells = self.calibration.fuse_cells(maps, self.calibration.branches)
                if self._contributions is not None and self._contributions.pooled:
                    kept = maps
            self._pooled.extend(zip(errors, unsmoothed.tolist(), cells, kept, strict=True))
            out += self._results(
                self._gaussian.extend(self._median.extend(np.stack([unsmoothed, *alone], 1)))
            )
        return out

    def _results(self, smoothed: np.ndarray) -> list[FrameScores]:
        """Results of the next frames, from their smoothed scores: all branches, then as in `_scored`."""
        out = []
        for score, *alone in smoothed.tolist():
            item, region_scores = self._waiting.popleft()
            errors, unsmoothed, cells, maps = self._pooled.popleft()
            branches = dict(zip(self._scored, alone, strict=True))
            contributions = None if cells is None else scaled(cells, score)
            if maps is not None and self._contributions is not None:
                contributions = self._contributions.of_frame(maps, score, branches)
            out.append(
                FrameScores(
                    index=item.index,
                    score=score,
                    unsmoothed=unsmoothed,
                    alarmed=score > self.calibration.threshold,
                    branches=branches,
                    errors=dict(zip(self._branches, errors.tolist(), strict=True)),
                    source=item.source,
                    regions=item.regions,
                    region_scores=region_scores,
                    not_judged=item.not_judged,
                    cells=cells,
                    contributions=contributions,
                )
            )
        return out
