"""The card of a deployed model for people: README.md in its folder."""

from collections.abc import Sequence

from vad.export.licences import describe
from vad.live.deployed_model import (
    BODY_HEIGHTS,
    CALIBRATION,
    CARD,
    GRAPH,
    LICENSE,
    PARAMETERS,
    STATISTICS,
    ZONES,
    CameraEntry,
    Card,
)
from vad.scoring.calibration import Calibration
from vad.scoring.evidence import duration, sentences, warning

FILES = {
    CARD: "this card for programs, with size and sha256 of every file",
    PARAMETERS: "the parameters of every processor, defaults included",
    GRAPH: "the autoencoders, as one ONNX graph: windows in, errors out",
    STATISTICS: "what is normal for the branches that are no autoencoders",
    BODY_HEIGHTS: "how tall people are in the frames of each camera",
    CALIBRATION: "how errors become scores, the threshold and what it rests on",
    ZONES: "areas of the picture that are not judged",
    LICENSE: "of the program that made this folder",
}


def readme(card: Card, calibration: Calibration) -> str:
    """Writes the text.

    Args:
        card: the card for programs.
        calibration: with the evidence of the threshold.

    Returns:
        Markdown.
    """
    parts = [_use(card), _learned(card), _threshold(card, calibration), _delay(card), LIMITS, _files(card)]
    return "\n\n".join(["# A deployed model of video anomaly detection", *parts]) + "\n"


def _use(card: Card) -> str:
    if card.unusable is not None:
        return f"**This model cannot score footage frame by frame:** {card.unusable}"
    return f"""It scores how unlike normal footage each frame is. A score above the threshold is an alarm.

```sh
vad detect SOURCE --model DIR   # DIR: this folder; SOURCE: a picture, a video, a folder, a camera, a stream
```

The command `vad` needs neither torch nor DVC; `make wheel` in the project makes a package of it.

The scores are those of the pipeline that trained the model: {_agreement(card)}."""


def _agreement(card: Card) -> str:
    agreement = card.agreement
    assert agreement is not None, "only of a model that can be used"
    errors = ", ".join(f"{name} {value:.0e}" for name, value in agreement.error.items())
    return (
        f"on {agreement.windows} windows of the training footage, `{GRAPH}` differed from the autoencoders "
        f"themselves by at most {agreement.level:.0e} of a calibrated score (errors: {errors})"
    )


def _learned(card: Card) -> str:
    rows = ["| camera | clips | duration | frames | frames/s |", "|---|---|---|---|---|"]
    rows += [_row(entry) for entry in card.cameras]
    branches = ", ".join(f"`{branch}`" for branch in card.branches)
    folds = len(card.folds)
    several = (
        f" Errors are the mean over {folds} models, each of which left a part of it out." if folds > 1 else ""
    )
    return "\n".join(
        [
            "## What it learned from",
            "",
            "Footage in which nothing unusual happens, and nothing else:",
            "",
            *rows,
            "",
            f"Branches: {branches}.{several} Cameras that are not named here get what was learned from all.",
        ]
    )


def _row(entry: CameraEntry) -> str:
    sizes = ", ".join(f"{width}x{height}" for width, height in entry.sizes)
    rates = ", ".join(dict.fromkeys(f"{rate:.3g}" for rate in entry.rates))
    return f"| {entry.camera or '(unnamed)'} | {entry.clips} | {duration(entry.hours)} | {sizes} | {rates} |"


def _threshold(card: Card, calibration: Calibration) -> str:
    lines = [f"## Threshold\n\nA frame is alarmed above a score of {card.threshold:.4g}."]
    lines += sentences(calibration.evidence)
    if text := warning(calibration.evidence):
        lines.append(f"**{text[0].upper()}{text[1:]}.**")
    return " ".join(lines) + "\n\n" + _pictures(calibration.picture)


def _pictures(calibration: Calibration | None) -> str:
    if calibration is None:
        return "Single pictures cannot be scored by this model."
    branches = ", ".join(f"`{branch}`" for branch in calibration.branches)
    return (
        f"Single pictures are scored by {branches} alone, which need no motion, and alarmed above a score of "
        f"{calibration.threshold:.4g}, which is not comparable with scores of videos."
    )


def _delay(card: Card) -> str:
    ahead = f"{card.lookahead} frame{'s' * (card.lookahead != 1)}"
    return (
        f"## Delay\n\nScores look {ahead} ahead ({card.delay:.2f} s at the rate of the training footage), by "
        "which they come later than their frames."
    )


LIMITS = """## What it cannot do

- It knows what is usual in the footage above, not what is dangerous. Whatever that footage lacks may raise
  an alarm; whatever is in it hardly will.
- It is made for these cameras, as they stood. If one was moved, or shows another scene, train again.
- It is no safety device: it misses events, and nobody has certified it."""


def _files(card: Card) -> str:
    names = {name.split("/")[0] for name in card.files} | {CARD}
    rows = [f"| `{name}` | {text} |" for name, text in FILES.items() if name in names]
    rows += [f"| `{name}` | named by `{key}` |" for key, name in card.weights.items()]
    lines = ["## Files", "", "| file | content |", "|---|---|", *rows]
    return "\n".join([*lines, "", *_licences(card)])


def _licences(card: Card) -> Sequence[str]:
    others = [describe(name, card.files[name].sha256) for name in card.weights.values()]
    return [
        f"The program that made this folder is under the MIT licence (`{LICENSE}`).",
        *others,
        "The terms of the footage it learned from are those of its owners.",
    ]
