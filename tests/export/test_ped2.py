"""UCSD Ped2: `vad detect` reaches the AUC of the pipeline."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests import project as tiny
from tests.live.test_session import DEPLOYED_TOLERANCE
from tests.project import ROOT, Project, environment
from tests.trained import UP_TO_SCORE, run_stages
from vad import recipe
from vad.scoring.scores import read_scores
from vad.store import manifest
from vad.store.downloads import hash_file

DATASETS = Path(os.environ.get("VAD_DATASETS", "../shared/data")).resolve()
# no scores need sheets and the check without labels, which take a minute
STAGES = [stage for stage in UP_TO_SCORE if stage not in ("sheet", "validate")]
DETECTOR = DATASETS / "weights/yolox_nano.onnx"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The recipes ped2 and objects, scored by the stages."""
    root = DATASETS / "ucsd_ped2"
    if not (root.is_dir() and DETECTOR.is_file()):
        pytest.skip(f"no ucsd_ped2 and weights under {DATASETS}; set VAD_DATASETS")
    project = tiny.copy(tmp_path_factory.mktemp("ped2") / "project")
    overrides = recipe.overrides(["ped2", "objects"], root=str(root), detector=str(DETECTOR))
    project.set(overrides | {"preprocess.person_crop.onnx.sha256": hash_file(DETECTOR)})
    run_stages(project.folder, STAGES)  # takes some minutes
    return project


@pytest.mark.datasets
@pytest.mark.slow
def test_vad_detect_has_the_scores_events_and_auc_of_the_pipeline(project, tmp_path, capsys):
    clips = [c for c in manifest.read_manifest(project / "data/manifest.csv") if c.split == "test"]
    sources = [str(DATASETS / "ucsd_ped2" / clip.source) for clip in clips]
    command = [sys.executable, "-m", "vad.cli", "detect", *sources, "--csv", "s.csv", "--jsonl", "e.jsonl"]
    model = ["--model", str(project / "models/deployed")]
    subprocess.run([*command, *model], cwd=tmp_path, env=environment(PYTHONPATH=str(ROOT)), check=True)
    table = pd.read_csv(tmp_path / "s.csv")
    ended = [json.loads(line) for line in (tmp_path / "e.jsonl").read_text().splitlines()]
    labels = manifest.read_labels(project / "data/labels.csv")
    live, stored, truth = [], [], []
    for clip, source in zip(clips, sources, strict=True):
        scored = read_scores(project / "data/scores" / clip.clip)
        live.append(table.loc[table["source"] == source, "score"].to_numpy())
        stored.append(scored.scores)
        truth.append(np.zeros(len(scored.scores), bool))
        for start, end in labels.get(clip.clip, []):
            truth[-1][start:end] = True
        np.testing.assert_allclose(live[-1], stored[-1], atol=DEPLOYED_TOLERANCE)
        mine = [event for event in ended if event["source"] == source and event["state"] == "end"]
        assert [(event["start_frame"], event["end_frame"]) for event in mine] == [
            (event.start, event.end) for event in scored.events
        ]
    graph, torch = (roc_auc_score(np.concatenate(truth), np.concatenate(scores)) for scores in (live, stored))
    difference = max(np.abs(a - b).max() for a, b in zip(live, stored, strict=True))
    with capsys.disabled():
        print(f"\nPed2, micro AUC: graph {graph:.6f}, torch {torch:.6f}; scores differ by {difference:.1e}")
    assert graph == pytest.approx(torch, abs=1e-4)
    assert torch > 0.97
