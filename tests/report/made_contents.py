"""Contents of a page and its media, made without a run: clips whose frames show their number in bars."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vad.report.contents import (
    Camera,
    Clip,
    ClipData,
    Contents,
    Curve,
    Event,
    Figure,
    Group,
    Moment,
    Table,
    Trace,
)
from vad.report.scripts import call
from vad.store.digests import digest

FPS = 12.5
THRESHOLD = 4.0
BRANCHES = ("appearance", "flow", "motion")
CAMERAS = ("hall", "yard")
HEIGHT, WIDTH, BITS = 96, 160, 10
HOSTILE = (
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=2</script>",
    "\"' onmouseover='window.hacked=3' {{ 7*7 }} ${7*7} &amp; %41 #clip=x&t=9",
    "../../etc\\passwd\u2028\u2029\u202e",
    "тест 视频 " + "x" * 180,
)
BITS_OF = tuple(2**i for i in range(BITS))


def picture(number: int, shade: int = 255) -> np.ndarray:
    """A frame that shows its number in BITS bars, the lowest bit on the left: uint8 [HEIGHT, WIDTH, 3]."""
    bars = [shade * (number >> bit & 1) for bit in range(BITS)]
    row = np.repeat(np.array(bars, np.uint8), WIDTH // BITS)
    return np.repeat(np.tile(row, (HEIGHT, 1))[:, :, None], 3, axis=2)


def number_in(pixels: Sequence[float]) -> int:
    """The number that a frame shows, from the gray levels of the centres of its bars."""
    return sum(bit for bit, level in zip(BITS_OF, pixels, strict=True) if level > 100)


def write_video(path: Path, seconds: Sequence[float], shade: int = 255) -> None:
    """Writes a video whose frames show their number at the given times, counted from the first one."""
    tick = Fraction(1, 90_000)
    options = {"preset": "ultrafast", "g": str(round(FPS)), "threads": "1", "bf": "0"}
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.time_base = stream.time_base = tick
        for number, time in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(picture(number, shade), "rgb24")
            frame.pts, frame.time_base = round((time - seconds[0]) / tick), tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def scores_of(frames: int, events: Sequence[tuple[int, int]], seed: int) -> np.ndarray:
    """Scores with noise below the threshold, and a bump above it in each event."""
    scores = np.abs(np.random.default_rng(seed).normal(1.2, 0.5, frames)).clip(0, 3.5)
    for start, end in events:
        t = np.linspace(0.15, math.pi - 0.15, end - start)
        scores[start:end] = THRESHOLD + 0.3 + (3 + seed % 5) * np.sin(t)
    return scores


def make(
    folder: Path,
    *,
    clips: int = 6,
    frames: int = 100,
    labelled: bool = True,
    events: bool = True,
    videos: int = 6,
    names: Sequence[str] = (),
    reconstruction: bool = False,
) -> Contents:
    """Makes media in a folder, and the contents that refer to them.

    Args:
        folder: of the page.
        clips: number of clips.
        frames: of each clip.
        labelled: whether clips have labels.
        events: whether clips have events.
        videos: number of clips that have a video.
        names: of the first clips, without the split.
        reconstruction: whether the clips with a video have one of a reconstruction.
    """
    media = folder / "media"
    media.mkdir(parents=True, exist_ok=True)
    made, pictures = [], 0
    for i in range(clips):
        name = names[i] if i < len(names) else f"{CAMERAS[i % 2]}/walk_{i:03d}"
        # one clip in three is quiet; the times of odd clips are uneven, and begin late
        spans = [(20, 38), (60, 70)] if events and i % 3 < 2 else []
        times = np.arange(frames) / FPS
        if i % 2:
            times = np.round(times + 0.02 * (np.arange(frames) % 2) + 0.4, 4)
        scores = np.round(scores_of(frames, spans, i), 3)
        number = [3 * n for n in range(frames)]  # every third frame of the source
        shares = {"appearance": 60 + i % 20, "flow": 30 - i % 20, "motion": 10}
        per_frame = {b: [int(shares[b]) if s > THRESHOLD else 0 for s in scores] for b in BRANCHES}
        data = ClipData(f"test/{name}", times.tolist(), number, scores.tolist(), per_frame)
        (media / f"clip{i}.js").write_text(call("report.clip", asdict(data)))
        found = []
        for n, (start, end) in enumerate(spans):
            peak = start + int(np.argmax(scores[start:end]))
            path = media / f"clip{i}.{3 * peak}.jpg"
            if pictures < 40:
                cv2.imwrite(str(path), picture(peak, 200))
                pictures += 1
            found.append(
                Event(
                    number=n + 1,
                    start=float(times[start]),
                    end=float(times[end - 1] + 1 / FPS),
                    peak=float(times[peak]),
                    frame=3 * peak,
                    score=float(scores[peak]),
                    where=("lower right", "upper centre")[n],
                    shares={b: shares[b] / 100 for b in BRANCHES},
                    labelled=(n == 0 or i % 2 == 0) if labelled else None,
                    picture=f"media/{path.name}",
                )
            )
        labels: list[tuple[float, float]] = []
        if labelled and spans:
            labels = [(float(times[22]), float(times[40]))]
            # in even clips the second event is labelled as well; in odd ones a label is missed
            labels.append(
                (float(times[58]), float(times[72])) if i % 2 == 0 else (float(times[80]), float(times[90]))
            )
        if i < videos:
            write_video(media / f"clip{i}.mp4", times.tolist())
            if reconstruction:
                write_video(media / f"clip{i}.reconstruction.mp4", times.tolist(), 180)
        size = max(1, -(-frames // 120))
        runs = [scores[k : k + size] for k in range(0, frames, size)]
        made.append(
            Clip(
                id=f"test/{name}",
                name=name,
                camera=CAMERAS[i % 2],
                subject=("", "Ann", "Bo")[i % 3],
                frames=frames,
                fps=FPS,
                seconds=float(frames / FPS),
                highest=float(scores.max()),
                peak=float(times[int(scores.argmax())]),
                alarmed=float((scores > THRESHOLD).mean()),
                auc=0.975 if labels else None,
                events=found,
                labels=labels if labelled else None,
                curve=[float(run.max()) for run in runs],
                data=f"media/clip{i}.js",
                video=f"media/clip{i}.mp4" if i < videos else None,
                reconstruction=f"media/clip{i}.reconstruction.mp4" if i < videos and reconstruction else None,
                size=(HEIGHT, WIDTH),
            )
        )
    return _contents(made, labelled, media)


def _contents(clips: Sequence[Clip], labelled: bool, media: Path) -> Contents:
    events = [(clip, event) for clip in clips for event in clip.events]
    highest = sorted(events, key=lambda pair: -pair[1].score)[:24]
    false_alarms = [_moment(c, e, "false alarm") for c, e in events if e.labelled is False][:12]
    cv2.imwrite(str(media / "hall.jpg"), cv2.resize(picture(341, 90), (360, 240)))
    clock = [(0.05, 0.05), (0.3, 0.05), (0.3, 0.2), (0.05, 0.2)]
    seconds = sum(clip.seconds for clip in clips)
    left_out = Moment(
        *("train/hall/usual_1", "hall/usual_1", 3.2, 40, 5.1, 4.2, "centre", {"flow": 1.0}, None, "left out"),
        *(3.0, 4.4),
    )
    anomalous_frames, auc = (112, 0.981) if labelled else (None, None)
    return Contents(
        summary=[
            f"{len(events) or 'No'} events in {seconds:.0f} seconds of footage from 2 cameras.",
            "The threshold rests on 1.92 minutes of normal footage in 12 clips.",
        ],
        warning="The threshold rests on 1.92 minutes of 12 clips: expect frequent alarms on other footage.",
        advice=[
            "Begin with the event of the highest score, below.",
            "If an alarm is permanent and shows something normal, draw a zone around it in data/zones.yaml.",
        ],
        threshold=THRESHOLD,
        branches=BRANCHES,
        labelled=labelled,
        privacy="none",
        clips=clips,
        anomalous=[_moment(clip, event, "event") for clip, event in highest],
        mistakes=_mistakes(clips, false_alarms) if labelled else [],
        left_out=[left_out],
        figures=_figures(labelled),
        scorers=SCORERS if labelled else None,
        check=Table(
            ("altered", "stretches", "AUC", "95 % interval"),
            [("pasted", "6", "0.919", "0.828 to 0.996"), ("reversed", "6", "0.514", "0.277 to 0.726")],
            (1, 2, 3),
        ),
        roc=ROC if labelled else [],
        precision_recall=PRECISION_RECALL if labelled else [],
        losses=[
            Curve("training", list(range(1, 21)), [0.3 / n for n in range(1, 21)], True),
            Curve("validation", list(range(1, 21)), [0.05 + 0.3 / n for n in range(1, 21)]),
        ],
        point=(0.04, 0.9, 0.9, 0.93) if labelled else None,
        histogram=(
            np.linspace(0, 12, 41).tolist(),
            [int(5000 * math.exp(-0.4 * i)) for i in range(40)],
            [int(60 * math.exp(-((i - 20) ** 2) / 50)) if labelled else 0 for i in range(40)],
        ),
        cameras=[
            Camera("hall", (240, 360), 40, 130, 30, "fit", [("ignore", "clock", clock)], "media/hall.jpg"),
            Camera("yard", (240, 360), 60, 60, 60, "default", [], None),
        ],
        by_camera=[
            Group(camera, 3, 300, anomalous_frames, auc, 0.25, 9.37, 4, 0.00667) for camera in CAMERAS
        ],
        by_person=[],
        skipped=[("test/hall/broken", "the file holds no frame that can be decoded")],
        trace=Trace(
            [(name, digest(name)) for name in ("data/manifest.csv", "models/calibration.json")],
            {"train.epochs": "20", "calibrate.smooth": "0.56", "preprocess.mode": "person_crop"},
            [("weights of the detector", digest("weights"))],
        ),
        notes=["100 % of the alarms of camera hall come from its lower right."],
    )


SHARES = np.linspace(0, 1, 60)
ROC = [
    Curve("model", SHARES.tolist(), (1 - (1 - SHARES) ** 9).tolist(), True),
    Curve("speed (learns nothing)", SHARES.tolist(), (1 - (1 - SHARES) ** 2).tolist()),
    Curve("random (learns nothing)", SHARES.tolist(), SHARES.tolist()),
]
PRECISION_RECALL = [
    Curve("model", SHARES.tolist(), (1 - 0.5 * SHARES**8).tolist(), True),
    Curve("random (learns nothing)", SHARES.tolist(), np.full(60, 0.4).tolist()),
]
SCORERS = Table(
    ("scorer", "micro AUC", "macro AUC"),
    [("model", "0.985", "0.987"), ("speed (learns nothing)", "0.636", "0.681")],
    (1, 2),
)


def _figures(labelled: bool) -> list[Figure]:
    of_labels = [Figure("Frame AUC, micro", "0.985", "How well scores tell frames apart.", "0.979 to 0.991")]
    return [
        *(of_labels if labelled else []),
        Figure("Threshold", "4.00", "A frame with a higher score is alarmed."),
        Figure("False alarms", "464 to 6,575 per day", "In normal footage like that of the training."),
        Figure(
            "Check without labels", "0.704", "An AUC: altered footage has higher scores.", "0.653 to 0.745"
        ),
    ]


def _moment(clip: Clip, event: Event, kind: str) -> Moment:
    return Moment(
        clip.id, clip.name, event.peak, event.frame, event.score, THRESHOLD, event.where, event.shares,
        event.picture, kind, event.start, event.end,
    )  # fmt: skip


def _mistakes(clips: Sequence[Clip], false_alarms: Sequence[Moment]) -> list[Moment]:
    shares: Mapping[str, float] = {}
    missed = [
        Moment(clip.id, clip.name, start, 240, 2.3, THRESHOLD, "", shares, None, "missed", start, end)
        for clip in clips
        for start, end in clip.labels or ()
        if not any(e.start < end and e.end > start for e in clip.events)
    ]
    return [*false_alarms, *missed[:6]]
