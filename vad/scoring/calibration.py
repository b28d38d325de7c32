"""Errors become scores: calibration by normal data, branches fused, smoothed over time.

Per branch, an error of a frame (`vad.scoring.pooling`) that is usual in normal footage becomes 0 and a high one 1;
the branches are then added, or the highest counts, and the sum is smoothed over time. The higher, the more
anomalous. The mapping is the same for all clips (of a camera) and rises strictly.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import field_validator

from vad import UserError
from vad.pipeline.params import Field
from vad.scoring import pooling
from vad.scoring.events import EventParams
from vad.scoring.pooling import ClipErrors, PoolParams
from vad.scoring.smoothing import SmoothParams, smooth
from vad.scoring.thresholds import ThresholdParams
from vad.store import cards

POOLED = ""  # the camera whose calibration is that of all together
WITHIN = (1 / 3, 3.0)  # factors of a place: else a quiet one would turn noise into alarms
MOST = 2000  # frames whose maps tell them
FEWEST = 100  # normal errors without which a cell of the grid has no scale of its own
Usual = dict[str, dict[str, float]]  # branch -> {"centre", "spread"}


class CalibrateParams(PoolParams):
    """`calibrate`

    `branches`: whose scores are fused, `all` or their names. `scale`: what becomes 0 and 1 of a branch:
    `quantile`, the median and the 95th percentile of normal frames; `z_score`, their mean and one standard
    deviation above. `per_camera`: each camera by its own normal frames. `grid`: [rows, columns] of a
    coarse grid over the frame; errors are first divided by the 95th percentile of normal errors in their
    place, relative to that of all places; empty for none. `fuse`: `sum` or `max` over branches.
    """

    branches: Literal["all"] | Annotated[list[str], Field(min_length=1)]
    scale: Literal["quantile", "z_score"]
    per_camera: bool
    grid: list[Annotated[int, Field(ge=1, le=64)]]
    fuse: Literal["sum", "max"]
    smooth: SmoothParams
    threshold: ThresholdParams
    events: EventParams

    @field_validator("grid")
    @classmethod
    def _two(cls, grid: list[int]) -> list[int]:
        if len(grid) not in (0, 2):
            raise ValueError("give [rows, columns], or [] for none")
        return grid

    @field_validator("branches")
    @classmethod
    def _once(cls, branches: str | list[str]) -> str | list[str]:
        if branches != "all" and len(set(branches)) < len(branches):
            raise ValueError("name each branch once")
        return branches


@dataclass(frozen=True)
class Calibration:
    """What is normal, and how errors become scores; all that live use needs beside the autoencoder.

    `usual`: by camera, "" for all together, and branch what becomes 0 (`centre`), and the distance from there
    to 1 (`spread`); `causal_usual`: the same for errors that are smoothed without frames ahead. `maps`: the
    same by branch, for the highest error of a frame's locations. `scale`: by branch the factors of the
    places, if there is a grid. A frame with a score above `threshold` is alarmed; `causal_threshold` is that
    of causal scores, `map_threshold` that of locations, the percentile of normal frames' highest. `frames`
    normal ones and `hours` were learned from.
    """

    params: CalibrateParams
    usual: dict[str, Usual]
    causal_usual: dict[str, Usual]
    maps: Usual
    scale: dict[str, list[list[float]]]
    threshold: float
    causal_threshold: float
    map_threshold: float
    frames: int
    hours: float

    @property
    def branches(self) -> list[str]:
        """Those that are fused."""
        return list(self.usual[POOLED]) if self.params.branches == "all" else list(self.params.branches)

    def scores(
        self,
        errors: Mapping[str, ArrayLike],
        camera: str = POOLED,
        branches: Sequence[str] | None = None,
        causal: bool = False,
    ) -> np.ndarray:
        """Errors [N] by branch to scores, float64 [N], not smoothed: (error - centre) / spread, fused.

        Below the centre they level off at once, at -0.01.

        `branches`: of these alone. Raises UserError if one is missing.
        """
        cameras = self.causal_usual if causal else self.usual
        usual = cameras.get(camera, cameras[POOLED])
        chosen = self.branches if branches is None else branches
        if missing := sorted(set(chosen) - set(errors)):
            raise UserError(
                f"errors lack the branches {', '.join(missing)}; there are {', '.join(errors)}: mend "
                "calibrate.branches, or run `dvc repro`"
            )
        each = [
            _level_off((np.asarray(errors[b], float) - usual[b]["centre"]) / usual[b]["spread"])
            for b in chosen
        ]
        return np.sum(each, axis=0) if self.params.fuse == "sum" else np.max(each, axis=0)

    def frame_errors(self, clip: ClipErrors, causal: bool = False) -> dict[str, np.ndarray]:
        """By branch the errors of frames, float64 [T], before calibration."""
        known = [b for b in clip.branches if b in self.usual[POOLED]]
        return clip.errors(known, self.params, causal, self._scale)

    def frame_scores(
        self, clip: ClipErrors, causal: bool | None = None, branches: Sequence[str] | None = None
    ) -> np.ndarray:
        """Score per frame, float64 [T]: each branch's error of the frame, calibrated, fused and smoothed.

        So a frame is judged by the region that stands out most in each branch. `causal`: without frames
        ahead; by default as `params.smooth` says.
        """
        causal = self.params.smooth.causal if causal is None else causal
        return self.smoothed(self.frame_errors(clip, causal), clip.camera, causal, branches)

    def smoothed(
        self,
        errors: Mapping[str, np.ndarray],
        camera: str,
        causal: bool,
        branches: Sequence[str] | None = None,
    ) -> np.ndarray:
        """`frame_scores` from `frame_errors`, for several choices of branches."""
        return smooth(self.scores(errors, camera, branches, causal), self.params.smooth, causal)

    def region_scores(self, clip: ClipErrors) -> np.ndarray:
        """Scores of the regions, float64 [N], from the branches that they have."""
        own = [b for b in self.branches if b in pooling.branches_of(clip.table)]
        if not own:
            return np.zeros(len(clip.table))
        causal = self.params.smooth.causal
        return self.scores({b: clip.regions(b, self._scale) for b in own}, clip.camera, own, causal)

    def score_maps(
        self, clip: ClipErrors, only: tuple[int, int] | None = None
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Scores of locations, in time: (frames, float32 [n, rows, columns]); 0 and 1 as in `maps`.

        `only`: of frames [start, end) alone.
        """
        chosen = [b for b in self.branches if b in clip.branches]
        sigma, causal = self.params.sigma, self.params.smooth.causal
        centre, spread = (
            np.array([self.maps[b][key] for b in chosen], np.float32)[:, None, None]
            for key in ("centre", "spread")
        )
        for at, chunk in clip.locations(chosen, sigma, causal, self._scale, only):
            each = _level_off((chunk - centre) / spread)
            yield at, each.sum(1) if self.params.fuse == "sum" else each.max(1)

    @property
    def _scale(self) -> dict[str, np.ndarray]:
        return {branch: np.array(factors, np.float32) for branch, factors in self.scale.items()}

    def unknown(self, cameras: Iterable[str]) -> list[str]:
        """Cameras that have no normal footage of their own where each should have its calibration."""
        return sorted(set(cameras) - set(self.usual)) if self.params.per_camera else []

    def save(self, path: Path) -> None:
        """Writes calibration.json."""
        cards.write_json(path, asdict(self) | {"params": self.params.model_dump(mode="json")})

    @classmethod
    def load(cls, path: Path) -> "Calibration":
        """Reads calibration.json. Raises UserError if it is missing or not what `save` wrote."""
        try:
            raw: dict[str, Any] = cards.read_json(path)
            return cls(**raw | {"params": CalibrateParams(**raw["params"])})
        except (TypeError, KeyError, ValueError) as e:
            reason = str(e).splitlines()[0]
            raise UserError(f"{path}: not a calibration ({reason}); run `dvc repro calibrate`") from None


def _level_off(z: np.ndarray) -> np.ndarray:
    """Calibrated errors, those below the centre squeezed into (-0.01, 0) in their order.

    That a branch sees even less than usual must not outweigh what another one sees: who lies still after a
    fall does not move, but looks odd.
    """
    return np.where(z > 0, z, 0.01 * np.expm1(np.minimum(z, 0)))


def calibrate(
    normal: list[ClipErrors], params: CalibrateParams, log: Callable[[str], None] = lambda line: None
) -> Calibration:
    """Learns what is normal from validation clips, which hold normal frames only.

    What is usual of a branch of regions is taken from the frames with regions, for in footage that is
    mostly empty all frames together would show no spread; thresholds are those of all frames. Raises
    UserError if there are no clips, if none has an error, if all errors are equal, or if there are too few
    frames for the threshold that is asked for.
    """
    if not normal:
        raise UserError("no validation clips to calibrate with; raise data.val_fraction or add a val folder")
    if not any(len(clip.table) for clip in normal):
        frames = sum(clip.frames for clip in normal)
        raise UserError(
            f"nothing was found in any of the {len(normal)} validation clips ({frames} frames), so there "
            "is no normal error to compare with; see reports/preprocess, lower the thresholds of "
            "preprocess.mode, or hold out more clips by data.val_fraction"
        )
    there = normal[0].branches
    if unknown := sorted(set(params.branches) - set(there)) if params.branches != "all" else []:
        raise UserError(
            f"calibrate.branches: there are no errors of {', '.join(unknown)}; there are {', '.join(there)}"
        )
    scale = _places(normal, there, params.grid) if params.grid else {}
    factors = {branch: np.array(own, np.float32) for branch, own in scale.items()}
    causal = params.smooth.causal
    groups = {POOLED: range(len(normal))}
    if params.per_camera:
        cameras = sorted({clip.camera for clip in normal})
        groups |= {name: [i for i, clip in enumerate(normal) if clip.camera == name] for name in cameras}
    usual: dict[bool, dict[str, Usual]] = {False: {}, True: {}}
    for how, found in usual.items():
        errors = [clip.errors(there, params, how, factors) for clip in normal]
        for name, own in groups.items():
            each = {
                b: _usual(b, [normal[i] for i in own], [errors[i][b] for i in own], params) for b in there
            }
            if name == POOLED:
                there = _with_spread(each, params, log)
            found[name] = {b: each[b] or found[POOLED][b] for b in there}
    usual[False] = {name: {b: own[b] for b in there} for name, own in usual[False].items()}
    tops = _highest(normal, there, params, factors)
    maps = {b: _usual(b, normal, highest, params) or usual[causal][POOLED][b] for b, highest in tops}
    hours = sum(clip.frames / clip.fps for clip in normal) / 3600
    frames = sum(clip.frames for clip in normal)
    found = Calibration(params, usual[False], usual[True], maps, scale, 0.0, 0.0, 0.0, frames, hours)
    scores = {c: [(found.frame_scores(clip, c), clip.fps) for clip in normal] for c in (False, True)}
    centred, behind = (
        params.threshold.of(scores[c], params.events, log if c == causal else lambda line: None)
        for c in (False, True)
    )
    located = [m.max((1, 2)) for clip in normal for _, m in found.score_maps(clip)]
    return replace(
        found,
        threshold=behind if causal else centred,
        causal_threshold=behind,
        map_threshold=float(np.percentile(np.concatenate(located), params.threshold.percentile)),
    )


def _usual(
    branch: str, clips: list[ClipErrors], errors: list[np.ndarray], params: CalibrateParams
) -> dict[str, float] | None:
    """Centre and spread of normal errors; of a branch of regions those of the frames with regions.

    None where these have no spread.
    """
    regional = branch in pooling.branches_of(clips[0].table)
    pairs = zip(clips, errors, strict=True)
    values = np.concatenate([e[clip.counts() > 0] if regional else e for clip, e in pairs])
    centre, spread = 0.0, 0.0
    if len(values) and params.scale == "quantile":
        centre, high = (float(q) for q in np.quantile(values, (0.5, 0.95)))
        spread = high - centre
    elif len(values):
        centre, spread = float(values.mean()), float(values.std())
    return {"centre": centre, "spread": spread} if spread > 0 else None


def _with_spread(
    usual: Mapping[str, dict[str, float] | None], params: CalibrateParams, log: Callable[[str], None]
) -> list[str]:
    """The branches that have a scale. Raises UserError if one that is asked for by name has none, or all."""
    flat = [branch for branch, own in usual.items() if own is None]
    named = set() if params.branches == "all" else set(params.branches)
    if flat and (len(flat) == len(usual) or named & set(flat)):
        raise UserError(
            f"all validation frames have the same error of the branch {', '.join(flat)}, so there is no "
            "scale for scores; check that the validation clips show more than one still picture"
        )
    if flat:
        log(f"{', '.join(flat)} left out: (nearly) all validation frames have the same error there")
    return [branch for branch in usual if branch not in flat]


def _highest(
    normal: list[ClipErrors], branches: list[str], params: CalibrateParams, scale: pooling.Scale
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """By branch the highest error of each frame's locations, clip by clip."""
    whole = params.model_copy(update={"per": "location", "pool": "max"})
    each = [clip.errors(branches, whole, params.smooth.causal, scale) for clip in normal]
    for branch in branches:
        yield branch, [errors[branch] for errors in each]


def _places(normal: list[ClipErrors], branches: list[str], grid: list[int]) -> dict[str, list[list[float]]]:
    """By branch how high errors are in each place of the grid, relative to all places, within `WITHIN`.

    Only what is above 0 tells: the rest says how often something is there, not how odd it looks.
    """
    out, step = {}, max(1, sum(clip.frames for clip in normal) // MOST)
    for branch in branches:
        number = np.arange(grid[0] * grid[1], dtype=np.float32).reshape(grid)
        values, places = [], []
        for clip in normal:
            if branch in clip.maps:
                cells = pooling.spread(number, clip.shape)
                maps = np.asarray(clip.maps[branch][::step], np.float32)
                values.append(maps[maps > 0])
                places.append(np.broadcast_to(cells, maps.shape)[maps > 0])
            else:
                errors = clip.regions(branch)
                values.append(errors[errors > 0])
                places.append(pooling.place(clip, number)[errors > 0])
        value, place = np.concatenate(values), np.concatenate(places).astype(int)
        overall = float(np.quantile(value, 0.95)) if len(value) else 0.0
        factors = np.ones(number.size)
        for one in range(number.size):
            own = value[place == one]
            if len(own) >= FEWEST and (high := float(np.quantile(own, 0.95))) > 0 and overall > 0:
                factors[one] = np.clip(high / overall, *WITHIN)
        out[branch] = factors.reshape(grid).tolist()
    return out
