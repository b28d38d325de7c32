"""The summary of a run: few figures, and tables per clip and subject as Markdown."""

from pathlib import Path
from typing import Any

import pandas as pd

HEADERS = {
    "anomalous_frames": "anomalous",
    "auc": "AUC",
    "anomaly_rate": "anomaly rate",
    "error_mean": "error mean",
    "error_std": "error std",
}


def metrics(result: dict[str, Any]) -> dict[str, Any]:
    """What `dvc metrics` shows: the numbers, rounded to what repeats between processors."""
    return _rounded(result)


def markdown(result: dict[str, Any], folder: Path, skipped: dict[str, str]) -> str:
    """The summary page: headline beside the trivial scorers, clips, subjects, skipped clips."""
    frame, error, lines = result["frame"], result["reconstruction_error"], ["# Evaluation", ""]
    if "absent" in frame:
        lines += [f"No frame-level metrics: {frame['absent']}.", ""]
    else:
        lines += [
            f"{frame['frames']} test frames in {result['clips']} clips, {frame['anomalous_frames']} of them "
            f"labelled anomalous. Micro AUC: all frames together, raw scores; macro: mean of the "
            f"{frame['clips_in_macro']} clips with both classes ({frame['clips_with_one_class']} have one).",
            "",
            "| scorer | AUC micro | AUC macro | average precision | EER | F1 at threshold |",
            "|---|---|---|---|---|---|",
            _line("**autoencoder**", *(frame.get(k) for k in _HEADLINE)),
            *(
                _line(f"{name} (knows nothing)", aucs["auc_micro"], aucs["auc_macro"], "", "", "")
                for name, aucs in result["baseline"].items()
            ),
            "",
        ]
    lines += [
        f"Threshold {result['threshold']:.4f}, from normal validation frames; "
        f"{100 * result['anomaly_rate']:.1f} % of the test frames lie above it. Reconstruction error "
        f"{error['mean']:.3g} ± {error['std']:.3g} (mean ± standard deviation).",
        *_regions(result),
        "",
        *_table("Clips", folder / "clips.csv"),
        *(_table("Subjects", folder / "subjects.csv") if result["subjects"] else []),
        "## Skipped clips",
        "",
        *([f"- `{clip}`: {reason}" for clip, reason in skipped.items()] or ["None."]),
        "",
    ]
    return "\n".join(lines)


_HEADLINE = ("auc_micro", "auc_macro", "average_precision", "eer", "f1")


def _regions(result: dict[str, Any]) -> list[str]:
    """A paragraph about regions, where these are boxes."""
    if not (regions := result.get("regions")):
        return []
    tracks = f"{regions['tracks']} tracks, one by one in tracks.csv." if regions["tracks"] else "No tracks."
    return [
        "",
        f"{regions['per_frame']:.2f} regions per frame on average; {regions['frames_without']} frames have "
        f"none, and so the lowest score there is. {tracks}",
    ]


def _table(title: str, path: Path) -> list[str]:
    kinds = dict.fromkeys(("clip", "camera", "subject"), str) | {"anomalous_frames": "Int64"}
    kinds |= dict.fromkeys(("auc", "anomaly_rate", "error_mean", "error_std"), float)
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=kinds)
    table = table.dropna(axis=1, how="all")
    head = [HEADERS.get(column, column) for column in table.columns]
    rows = (_line(*row) for row in table.astype(object).where(table.notna(), "").itertuples(index=False))
    return [f"## {title}", "", _line(*head), "|" + "---|" * len(head), *rows, ""]


def _line(*cells: object) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if value == 0 or abs(value) >= 0.01 else f"{value:.3g}"
    return "" if value is None else str(value).replace("|", "\\|")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items() if entry is not None}
    return float(f"{value:.6g}") if isinstance(value, float) else value
