"""Geometry of the page's charts; the templates draw them as SVG.

Coordinates are in units of the SVG, rounded to tenths, from the upper left corner.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vad.overlay.score_strip import scale
from vad.overlay.wording import clip_time
from vad.report.contents import Camera, Clip, Curve
from vad.report.wording import number
from vad.store.body_heights import BodyHeight

WIDTH, HEIGHT = 440.0, 300.0  # of a chart
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 14.0, 46.0  # margins of its plot
SPARK_WIDTH, SPARK_HEIGHT = 180.0, 36.0
SPARK_BAR = 4.0  # height of the bar below a sparkline that marks events
STEEP = 30.0  # ratio of the highest to the lowest loss from which on their axis is logarithmic
LEAST_BAR = 7  # height of a bar of one frame
FEET = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)  # rows at which people are drawn, in shares of the frame's height
ASPECT = 0.36  # width of a drawn person / height


@dataclass(frozen=True)
class Scale:
    """An axis: values from `low` to `high` become coordinates from `start` to `end`.

    Attributes:
        ticks: (coordinate, text) each.
        name: what the axis shows.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: Sequence[tuple[float, str]]
    name: str
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = (math.log10(max(v, 1e-12)) for v in (value, low, high))
        return round(self.start + (self.end - self.start) * (value - low) / (high - low), 1)


@dataclass(frozen=True)
class Line:
    """A curve of a chart: its name, path, and whether it is the one that matters."""

    name: str
    path: str
    emphasis: bool


@dataclass(frozen=True)
class LineChart:
    """A chart of curves.

    Attributes:
        title: says what it shows, for readers who do not see it.
        point: (x, y, text) of the point at the threshold, if there is one.
        chance: path of what guessing reaches, if that is drawn.
    """

    title: str
    x: Scale
    y: Scale
    lines: Sequence[Line]
    point: tuple[float, float, str] | None = None
    chance: str = ""


@dataclass(frozen=True)
class Histogram:
    """A chart of bars on a logarithmic axis.

    Attributes:
        normal, anomalous: paths of the bars of normal (or all) and of anomalous frames.
        threshold: coordinate of the threshold.
    """

    title: str
    x: Scale
    y: Scale
    normal: str
    anomalous: str
    threshold: float


@dataclass(frozen=True)
class Sparkline:
    """The small curve of a clip.

    Attributes:
        title: says what it shows.
        curve: path of the scores.
        threshold: coordinate of the threshold.
        labels, events: (x, width) of the stretches.
    """

    title: str
    curve: str
    threshold: float
    labels: Sequence[tuple[float, float]]
    events: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class People:
    """A camera's frame with figures of people, as tall as they are expected there.

    Attributes:
        size: (height, width) of the frame.
        figures: (x, y, width, height, text) of boxes in pixels of the frame.
        zones: (kind, name, corners as SVG writes them) each.
    """

    camera: Camera
    size: tuple[int, int]
    figures: Sequence[tuple[float, float, float, float, str]]
    zones: Sequence[tuple[str, str, str]]


def step_of(span: float, most: int = 5) -> float:
    """The step between ticks, 1, 2 or 5 times a power of ten, that gives at most `most` steps.

    Args:
        span: length of the axis in its own unit, above 0.
        most: steps at most.
    """
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= most * (1 + 1e-9))


def linear(
    low: float, high: float, start: float, end: float, name: str, *, exact: bool = False, whole: bool = False
) -> Scale:
    """A linear axis with round ticks.

    Args:
        low, high: range that must lie on it.
        start, end: coordinates.
        name: what it shows.
        exact: whether it ends at the range, instead of at the next tick.
        whole: whether ticks are whole numbers.
    """
    if not high > low:
        high = low + 1
    step = max(step_of(high - low), 1.0 if whole else 0.0)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if exact:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        low, high = first * step, last * step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    bare = Scale(low, high, start, end, (), name)
    ticks = [(bare(i * step), f"{i * step:,.{decimals}f}") for i in range(first, last + 1)]
    return Scale(low, high, start, end, ticks, name)


def logarithmic(low: float, high: float, start: float, end: float, name: str) -> Scale:
    """A logarithmic axis from a power of ten to a power of ten.

    Args:
        low, high: range that must lie on it, above 0.
        start, end: coordinates.
        name: what it shows.
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    bare = Scale(10.0**first, 10.0**last, start, end, (), name, logarithmic=True)
    step = math.ceil((last - first) / 5)
    ticks = [(bare(10.0**p), _power(p)) for p in range(first, last + 1, step)]
    return Scale(bare.low, bare.high, start, end, ticks, name, logarithmic=True)


def _power(exponent: int) -> str:
    return f"{10**exponent:,}" if exponent >= 0 else f"{10.0**exponent:.{-exponent}f}"


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""


def _lines(curves: Sequence[Curve], x: Scale, y: Scale) -> list[Line]:
    def path(curve: Curve) -> str:
        points = zip(curve.x, curve.y, strict=True)
        return _path([(x(a), y(b)) for a, b in points if math.isfinite(b)])

    return [Line(curve.name, path(curve), curve.emphasis) for curve in curves]


def _unit_square(x_name: str, y_name: str) -> tuple[Scale, Scale]:
    return (
        linear(0, 1, LEFT, WIDTH - RIGHT, x_name, exact=True),
        linear(0, 1, HEIGHT - BOTTOM, TOP, y_name, exact=True),
    )


def roc(curves: Sequence[Curve], point: tuple[float, float, float, float] | None) -> LineChart:
    """The ROC curves, with the diagonal of guessing and the point at the threshold."""
    x, y = _unit_square("false alarms: share of normal frames", "found: share of anomalous frames")
    at = None if point is None else (x(point[0]), y(point[1]), "threshold")
    return LineChart("ROC curves", x, y, _lines(curves, x, y), at, _path([(x(0), y(0)), (x(1), y(1))]))


def precision_recall(curves: Sequence[Curve], point: tuple[float, float, float, float] | None) -> LineChart:
    """The curves of precision over recall, with the point at the threshold."""
    x, y = _unit_square("recall: share of anomalous frames found", "precision: share of alarms right")
    at = None if point is None else (x(point[2]), y(point[3]), "threshold")
    return LineChart("Precision-recall curves", x, y, _lines(curves, x, y), at)


def losses(curves: Sequence[Curve]) -> LineChart | None:
    """The losses over epochs, on a logarithmic axis if they fall steeply; None if there are none."""
    values = [v for curve in curves for v in curve.y if math.isfinite(v)]
    epochs = [v for curve in curves for v in curve.x]
    if not values:
        return None
    x = linear(min(epochs), max(epochs), LEFT, WIDTH - RIGHT, "epoch", exact=True, whole=True)
    least, most = min(values), max(values)
    if least > 0 and most / least > STEEP:
        y = logarithmic(least, most, HEIGHT - BOTTOM, TOP, "loss")
    else:
        y = linear(0, most, HEIGHT - BOTTOM, TOP, "loss")
    return LineChart("Losses of the training", x, y, _lines(curves, x, y))


def histogram(
    bins: tuple[Sequence[float], Sequence[int], Sequence[int]], threshold: float, labelled: bool
) -> Histogram:
    """How many frames have which scores; numbers on a logarithmic axis, since anomalies are rare.

    Args:
        bins: edges, numbers of normal (or all) frames, numbers of anomalous frames.
        threshold: of scores.
        labelled: whether there are anomalous frames to set apart.
    """
    edges, normal, anomalous = bins
    x = linear(edges[0], max(edges[-1], threshold), LEFT, WIDTH - RIGHT, "score", exact=True)
    highest = max([*normal, *anomalous, 1])
    y = logarithmic(1, 10 * highest if highest == 1 else highest, HEIGHT - BOTTOM, TOP, "frames")
    base = HEIGHT - BOTTOM

    def bars(numbers: Sequence[int]) -> str:
        # a single frame is log(1) = 0 high, and must be seen
        return "".join(
            f"M{x(a):g} {base:g}V{min(y(n) - 3, base - LEAST_BAR):g}H{x(b):g}V{base:g}Z"
            for a, b, n in zip(edges[:-1], edges[1:], numbers, strict=True)
            if n
        )

    return Histogram(
        "Scores of normal and of anomalous frames" if labelled else "Scores of the frames",
        x, y, bars(normal), bars(anomalous), x(threshold),
    )  # fmt: skip


def sparkline(clip: Clip, threshold: float) -> Sparkline:
    """The scores of a clip over its duration, on a scale that is the same in all clips.

    It is that of the strip below the pictures of `vad detect`, with the threshold at half of the height.

    Args:
        clip: the clip.
        threshold: of scores.
    """
    base, seconds = SPARK_HEIGHT - SPARK_BAR - 1, max(clip.seconds, 1e-9)
    level = max(threshold, 1e-9)
    step = SPARK_WIDTH / max(len(clip.curve), 1)

    def row(score: float) -> float:
        return round(base - (base - 1) * scale(score / level), 1)

    def stretches(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        at = SPARK_WIDTH / seconds
        return [(round(a * at, 1), max(round((b - a) * at, 1), 1.0)) for a, b in pairs]

    points = [(round((i + 0.5) * step, 1), row(score)) for i, score in enumerate(clip.curve)]
    title = f"highest score {number(clip.highest)} at {clip_time(clip.peak)}"
    return Sparkline(
        title,
        _path(points if len(points) != 1 else [(0.0, points[0][1]), (SPARK_WIDTH, points[0][1])]),
        row(threshold),
        stretches(clip.labels or ()),
        stretches([(event.start, event.end) for event in clip.events]),
    )


def people(camera: Camera) -> People:
    """Figures of people side by side, with their feet at the rows FEET, and the zones.

    Args:
        camera: whose frame it is.
    """
    height, width = camera.size
    heights = BodyHeight(camera.height_far, camera.height_near, camera.least, height)
    figures: list[tuple[float, float, float, float, str]] = []
    for i, part in enumerate(FEET):
        feet = part * height
        tall = float(heights.at_feet(feet))
        wide, centre = ASPECT * tall, (i + 0.5) * width / len(FEET)
        if tall <= feet:  # otherwise the head would be outside
            x, y, w, h = (round(v, 1) for v in (centre - wide / 2, feet - tall, wide, tall))
            figures.append((x, y, w, h, f"{round(tall):,} px"))
    zones = [
        (kind, name, " ".join(f"{x * width:.1f},{y * height:.1f}" for x, y in corners))
        for kind, name, corners in camera.zones
    ]
    return People(camera, camera.size, figures, zones)


def styles(lines: Sequence[Line]) -> Mapping[str, int]:
    """The number of the style of each curve by name: 0 for what matters, others from 1 on in order."""
    numbers, other = {}, 0
    for line in lines:
        if line.emphasis:
            numbers[line.name] = 0
        else:
            other += 1
            numbers[line.name] = other
    return numbers
