"""What the page shows: plain values, so that the page can be made and tested without a run.

Times are seconds since the start of a clip. Paths are relative to the folder of the page, with forward
slashes; None where there is no picture or video. Names come from the footage, and may hold any character.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """An event of a clip.

    Attributes:
        number: within the clip, from 1.
        start, end: seconds; `end` is that after the last frame.
        peak: seconds of the frame with the highest score.
        frame: index of that frame in the source.
        score: its score.
        where: in its picture, such as `lower right`.
        shares: of the branches in its score, 0 to 1, the largest first.
        labelled: whether the event overlaps a label; None if the clip is not labelled.
        picture: the frame of the peak with boxes and cells.
    """

    number: int
    start: float
    end: float
    peak: float
    frame: int
    score: float
    where: str
    shares: Mapping[str, float]
    labelled: bool | None
    picture: str | None


@dataclass(frozen=True)
class Clip:
    """A test clip.

    Attributes:
        id: `<split>/<name>`, unique.
        name: the id without the split.
        camera: that filmed it.
        subject: the person shown; "" if none is given.
        frames: number of its frames.
        fps: frames per second, above 0.
        seconds: its duration.
        highest: highest score.
        peak: seconds of the frame with the highest score.
        alarmed: share of the frames above the threshold.
        auc: of its frames; None without labels of both classes.
        events: in the order of time.
        labels: anomalous stretches as (start, end) in seconds; None if the clip is not labelled.
        curve: scores for a small picture of the curve: at most CURVE, the highest of equally long stretches.
        data: script with the scores of every frame (`ClipData`).
        video: overlay video.
        reconstruction: video of what the autoencoder made of the frames.
        size: (height, width) of the video, or of the pictures, in pixels.
    """

    id: str
    name: str
    camera: str
    subject: str
    frames: int
    fps: float
    seconds: float
    highest: float
    peak: float
    alarmed: float
    auc: float | None
    events: Sequence[Event]
    labels: Sequence[tuple[float, float]] | None
    curve: Sequence[float]
    data: str
    video: str | None = None
    reconstruction: str | None = None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ClipData:
    """The frames of a clip, for its curve. Lists have an item per frame.

    Written as a script, `report.clip({...})` with the keys below, that the page loads for an opened clip.

    Attributes:
        id: of the clip.
        times: seconds of the frames. Frame i of the video is shown from `times[i] - times[0]` on.
        numbers: indices of the frames in the source.
        scores: of the frames, 4 significant digits.
        shares: by branch, its share in the score in whole percent; 0 where no branch is above normal.
    """

    id: str
    times: Sequence[float]
    numbers: Sequence[int]
    scores: Sequence[float]
    shares: Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Moment:
    """A picture of a gallery.

    Attributes:
        clip: id of the clip, perhaps one of normal footage, which has no curve on the page.
        name: of the clip.
        seconds: time of the frame.
        frame: index of the frame in the source.
        score: of the frame.
        threshold: with which the score was compared.
        where: in the picture, such as `lower right`; "" if unknown.
        shares: of the branches in the score, the largest first; empty if unknown.
        picture: the frame with boxes and cells.
        kind: `event`, `highest` (of a clip without an event), `false alarm`, `missed` (a labelled event
            without an alarm) or `left out` (normal footage, by a calibration that was fitted without it).
        start, end: seconds of the stretch around it that was alarmed, or missed; equal if there is none.
    """

    clip: str
    name: str
    seconds: float
    frame: int
    score: float
    threshold: float
    where: str
    shares: Mapping[str, float]
    picture: str | None
    kind: str
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class Camera:
    """A camera.

    Attributes:
        name: of the camera.
        size: (height, width) of its frames in pixels, to which the heights refer.
        height_far, height_near: how tall people are with their feet at the upper and the lower border of the
            frame, in pixels.
        least: smallest height of people in pixels.
        origin: of the heights: `fit`, `constant`, `default` or `params`.
        zones: (kind, name, polygon) each; kind `ignore` or `only`, corners in shares of width and height.
        picture: a frame without anything drawn in.
    """

    name: str
    size: tuple[int, int]
    height_far: float
    height_near: float
    least: float
    origin: str
    zones: Sequence[tuple[str, str, Sequence[tuple[float, float]]]]
    picture: str | None


@dataclass(frozen=True)
class Group:
    """A row of the tables of cameras and persons.

    Attributes:
        name: of the camera or person.
        clips, frames: their numbers.
        anomalous_frames: number of labelled anomalous frames; None without labels.
        auc: of the frames; None if it is undefined.
        alarmed: share of the frames above the threshold.
        highest: highest score.
        events: number of events; None if they are not counted by person.
        hours: duration.
    """

    name: str
    clips: int
    frames: int
    anomalous_frames: int | None
    auc: float | None
    alarmed: float
    highest: float
    events: int | None
    hours: float


@dataclass(frozen=True)
class Curve:
    """A curve of a chart.

    Attributes:
        name: for the legend.
        x, y: of its points, at most 500.
        emphasis: whether it is the one that matters.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    emphasis: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure with a sentence that says what it means.

    Attributes:
        name: such as `Frame AUC, micro`.
        value: as text, with unit.
        meaning: a sentence.
        interval: such as `0.979 to 0.991`; "" without one.
    """

    name: str
    value: str
    meaning: str
    interval: str = ""


@dataclass(frozen=True)
class Table:
    """A table of text cells.

    Attributes:
        head: names of the columns.
        rows: a cell per column each.
        numeric: columns that hold numbers, from 0.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[int] = ()


@dataclass(frozen=True)
class Trace:
    """What made the page, so that a printed one can be traced.

    Attributes:
        hashes: (file, md5 as in dvc.lock) each.
        parameters: values in effect by key, such as `train.epochs`; as text.
        versions: (what, version or hash of the content) each, such as the weights of the detector.
    """

    hashes: Sequence[tuple[str, str]]
    parameters: Mapping[str, str]
    versions: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Contents:
    """All that the page shows.

    Attributes:
        summary: sentences in plain words, the most important first: how many events in how much footage,
            what the threshold rests on, how often false alarms are to be expected.
        warning: a sentence that must not be overlooked, such as that of a thin threshold; "" without one.
        advice: sentences on what to look at first, and what to do about a permanent alarm.
        threshold: of the scores.
        branches: names of the fused branches.
        labelled: whether any clip is labelled.
        privacy: `none`, `blur` or `silhouette`: what became of people in all pictures.
        clips: test clips, in the order of their names.
        anomalous: the most anomalous moments, the highest first.
        mistakes: false alarms and missed events, the worst first; empty without labels.
        left_out: alarms of normal footage when it was left out, the highest first.
        figures: the headline figures.
        scorers: the model beside its branches and the scorers that learn nothing; None without labels.
        check: the check without labels, a row per alteration; None if it was not made.
        roc, precision_recall, losses: curves of charts; empty if there are none.
        point: (false positive rate, true positive rate, recall, precision) at the threshold; None without
            labels.
        histogram: edges of the bins, numbers of normal (or all) frames, numbers of anomalous frames.
        cameras: of the footage.
        by_camera, by_person: rates; empty if there is only one, or none is given.
        skipped: (clip, reason) of what was left out.
        trace: what made the page.
        notes: further sentences of the summary, such as the hotspots of alarms with the zone to paste.
    """

    summary: Sequence[str]
    warning: str
    advice: Sequence[str]
    threshold: float
    branches: Sequence[str]
    labelled: bool
    privacy: str
    clips: Sequence[Clip]
    anomalous: Sequence[Moment]
    mistakes: Sequence[Moment]
    left_out: Sequence[Moment]
    figures: Sequence[Figure]
    scorers: Table | None
    check: Table | None
    roc: Sequence[Curve]
    precision_recall: Sequence[Curve]
    losses: Sequence[Curve]
    point: tuple[float, float, float, float] | None
    histogram: tuple[Sequence[float], Sequence[int], Sequence[int]]
    cameras: Sequence[Camera]
    by_camera: Sequence[Group]
    by_person: Sequence[Group]
    skipped: Sequence[tuple[str, str]]
    trace: Trace
    notes: Sequence[str] = field(default=())


CURVE = 120  # maximum number of values of `Clip.curve`
