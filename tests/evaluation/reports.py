"""A small run: outputs of `measure` and `extract`, scores from them, and all that `evaluate` writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from vad.branches.error_files import ErrorWriter
from vad.evaluation import summary
from vad.evaluation.baselines import trivial_scorers
from vad.evaluation.evaluate import evaluate, write
from vad.evaluation.identity import Identity
from vad.evaluation.localisation import draw, locate
from vad.evaluation.params import EvaluateParams
from vad.evaluation.scored_clip import ScoredClip, read_clips
from vad.evaluation.selection import select
from vad.footage.masks import convert
from vad.scoring.calibration import Calibration
from vad.scoring.clip_errors import ClipErrors, read_errors
from vad.scoring.norms import Line
from vad.scoring.params import CalibrateParams
from vad.scoring.scores import event_table, read_scores, score_clip
from vad.store.arrays import write_array
from vad.store.cards import read_json
from vad.store.intervals import Intervals, frame_labels
from vad.store.manifest import Clip
from vad.store.tables import write_table

PARAMS = EvaluateParams(resamples=200, mask_percentile=90.0)
NOBODY = Identity({}, {})
LOOKAHEAD = 3  # of the errors
IDENTITY = Identity({"test/new|er": "eve"}, {"test/fall": {0: "ä|b", 7: "eve"}})
INTERVALS = {"test/fall": [(20, 40), (60, 70)], "test/late": [(110, 120)]}
FALL = "test/fall"
TABLES = [
    f"{name}.csv" for name in ("alarms", "cameras", "clips", "events", "frames", "hotspots", "subjects")
]
TABLES += ["frames.txt"]
CHARTS = [f"plots/{name}.csv" for name in ("clip_auc", "curves", "histogram", "pr", "roc", "subject_auc")]
FILES = [*TABLES, *CHARTS, "curves.png", "metrics.json"]  # of every report, besides the heatmaps


def heatmap_files(*clips: str) -> list[str]:
    """Files of the heatmaps of clips, by name without split."""
    return [f"heatmaps/clip_{name}.png" for name in clips]


def calibration(*branches: str, smooth: bool = False) -> Calibration:
    """An error of 1 has score 0, an error of 2 has score 1; alarms are above 0.75.

    With `smooth`, scores are smoothed by a median of three frames, at 5 and at 10 frames per second.
    """
    params = CalibrateParams(
        aggregate="region",
        error_sigma=0.0,
        smooth={"median": 0.3 if smooth else 0.0, "gaussian": 0.0},
        threshold={"policy": "percentile", "percentile": 90.0},
        events={"merge_gap": 0.5},
    )
    norms = {branch: Line(1.0, 1.0) for branch in branches}
    amount = {"frames": 500, "hours": 1.0, "lookahead": LOOKAHEAD + smooth, "delay": 0.4}
    return Calibration(params, {"": norms}, norms, {}, 0.75, 0.75, **amount)


RECONSTRUCTION = calibration("reconstruction")
SEVERAL = calibration("appearance", "flow", "speed", smooth=True)


def manifest_row(name: str, frames: int, labelled: bool, camera: str, subject: str) -> Clip:
    source = {"split": "test", "source": f"{name}.mp4", "first": 0, "end": frames, "frames": frames}
    size = {"width": 8, "height": 8, "hash": "h", "fps": 10.0}
    return Clip(clip=name, camera=camera, subject=subject, labelled=labelled, **source, **size)


CLIPS = [
    manifest_row("test/fall", 100, True, "01", "007"),
    manifest_row("test/late", 240, True, "01", "ä|b"),  # extracted at half its rate
    manifest_row("test/walk", 30, True, "0|2", "007"),
    manifest_row("test/new|er", 40, False, "0|2", ""),
]


def write_errors(stem: Path, errors: ClipErrors) -> None:
    """Errors of a clip as the stage `measure` writes them."""
    card = {"frames": errors.frames, "stride": errors.stride, "frame": list(errors.size)}
    card |= {"lookahead": errors.lookahead}
    windows = errors.table[[name for name in errors.table if not name.startswith("error_")]]
    with ErrorWriter(stem, windows, card | {"fps": errors.fps, "cell": errors.cell}) as out:
        for branch in errors.branches:
            out.declare(branch, branch in errors.learned)
            if branch in errors.region_branches:
                out.add_column(branch, errors.errors(branch))
            else:
                with out.add_map(branch) as writer:
                    for cells in errors.maps[branch]:
                        writer.append(cells)


def write_inputs(folder: Path, boxes: bool = False) -> Path:
    """Outputs of `measure` and `extract`: whole frames, or boxes with two branches and speed.

    Of boxes there are three tracks and some without track in `fall`, in `walk` none. `fall` has masks.
    """
    rng = np.random.default_rng(1)
    for clip in CLIPS:
        step = 2 if clip.clip == "test/late" else 1
        source = np.arange(0, clip.frames, step)
        anomalous = frame_labels(INTERVALS.get(clip.clip, []), source)
        write_times(folder / "frames" / clip.clip, source)
        pictures = rng.integers(0, 255, (len(source), 8, 8), np.uint8)
        write_array(folder / "frames" / clip.clip, pictures, fps=10 / step)
        rows, maps, learned = [(t, 0) for t in range(len(source))], {}, ("reconstruction",)
        if boxes:
            tracks = {"test/fall": [0, 1, 7, -1], "test/walk": []}.get(clip.clip, [4])
            rows = [(t, n) for t in range(0, len(source), 2) for n in tracks if rng.random() < 0.6]
            maps = {"speed": rng.gamma(4, 0.25, (len(source), 2, 2)).astype(np.float16)}
            learned = ("appearance", "flow")
        table = pd.DataFrame(rows, columns=["frame", "track"]).astype(np.int32)
        table = table.assign(region=0, x0=int(boxes), y0=0, x1=8, y1=8)
        for branch in learned:
            errors = rng.gamma(4, 0.25, len(rows)) + anomalous[table["frame"]]
            table[f"error_{branch}"] = errors.astype(np.float32)
        errors = ClipErrors(
            *(clip.clip, len(source), 2 if boxes else 1, (8, 8)),
            table=table,
            fps=10 / step,
            cell=4,
            maps=maps,
            learned=learned,
            lookahead=LOOKAHEAD,
        )
        write_errors(folder / "errors" / clip.clip, errors)
    truth = np.zeros((100, 8, 8), bool)
    truth[frame_labels(INTERVALS[FALL], np.arange(100)), 2:6, 2:6] = True
    np.save(folder / "truth.npy", truth)
    convert(folder / "masks" / FALL, folder / "truth.npy", 100, 8, 8)
    return folder


def write_times(stem: Path, source: np.ndarray) -> None:
    """The table of extracted frames, for source frames at 10 per second."""
    write_table(stem, pd.DataFrame({"source_frame": source, "seconds": source / 10}))


def score(inputs: Path, scores: Path, clips: Sequence[Clip], by: Calibration) -> None:
    """Scores clips like the stage `score`."""
    for clip in clips:
        stems = (inputs / "errors" / clip.clip, inputs / "frames" / clip.clip)
        score_clip(scores / clip.clip, *stems, clip.clip, clip.camera, by)
    events = event_table({clip.clip: read_scores(scores / clip.clip) for clip in clips})
    events.to_csv(scores / "events.csv", index=False, float_format="%.8g", lineterminator="\n")


def read(
    inputs: Path,
    scores: Path,
    clips: Sequence[Clip] = CLIPS,
    labels: Mapping[str, Intervals] = INTERVALS,
    identity: Identity = NOBODY,
) -> list[ScoredClip]:
    """Scored clips as the stage `evaluate` reads them."""
    errors = read_errors(inputs / "errors", {clip.clip: clip.camera for clip in clips})
    return read_clips(clips, labels, scores, errors, identity)


def figures(clips: Sequence[ScoredClip], by: Calibration = RECONSTRUCTION) -> dict[str, Any]:
    """All figures except those of pixels."""
    return evaluate(clips, trivial_scorers(clips, PARAMS.seed), by, PARAMS)


class Report:
    """Everything that `score`, `evaluate` and `summarize` write about some clips.

    Args:
        inputs: folder that `write_inputs` filled.
        folder: for the files of `evaluate`; the scores go to a folder beside it.
        by: the calibration.
        clips: rows of the manifest.
        labels: intervals by clip.
        identity: which person a clip or track belongs to.
        params: the section `evaluate`.
    """

    def __init__(
        self,
        inputs: Path,
        folder: Path,
        by: Calibration = RECONSTRUCTION,
        clips: Sequence[Clip] = CLIPS,
        labels: Mapping[str, Intervals] = INTERVALS,
        identity: Identity = NOBODY,
        params: EvaluateParams = PARAMS,
    ):
        self.folder, self.scores = folder, folder.with_name(f"{folder.name}_scores")
        score(inputs, self.scores, clips, by)
        self.clips = read(inputs, self.scores, clips, labels, identity)
        trivial = trivial_scorers(self.clips, params.seed)
        self.result = evaluate(self.clips, trivial, by, params)
        self.result |= locate(self.clips, by, inputs / "masks", params)
        shown = select(self.clips, by.threshold, params.pictures)
        write(folder, self.clips, shown, trivial, by, self.result)
        draw(folder / "heatmaps", shown, by, inputs / "frames", inputs / "masks")
        self.stored = read_json(folder / "metrics.json")  # as the next stage reads it
        self.metrics = summary.metrics(self.stored)
        self.events = summary.read_events(self.scores / "events.csv")
        self.markdown = summary.markdown(self.stored, folder, self.events, {"test/lost": "it is empty"})

    def csv(self, name: str) -> pd.DataFrame:
        return pd.read_csv(self.folder / name, dtype={"clip": str, "subject": str, "camera": str})

    def cells(self, title: str) -> list[list[str]]:
        """The cells of the table below a title of the summary; "¦" stands for an escaped bar."""
        lines = self.markdown.partition(title)[2].strip().partition("\n\n")[0].splitlines()
        return [[cell.strip() for cell in line.replace("\\|", "¦").strip("|").split("|")] for line in lines]

    def scorers(self) -> dict[str, list[str]]:
        """The table of the summary's headline: cells by scorer."""
        lines = [line for line in self.markdown.partition("Threshold")[0].splitlines() if line[:1] == "|"]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert {len(row) for row in cells} == {8}
        return {row[0]: row[1:] for row in cells[2:]}

    def files(self) -> dict[str, bytes]:
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in files}
