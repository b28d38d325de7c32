"""UCSD Ped2: the deployed model reaches the AUC of the pipeline."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests import project as tiny
from tests.live.test_session import DEPLOYED_TOLERANCE, RUN, UP_TO_SCORE
from tests.project import Project
from vad import recipe
from vad.footage.decode import decode
from vad.footage.pictures import PictureFormat
from vad.live import Session, load_deployed
from vad.scoring.scores import read_scores
from vad.store import manifest
from vad.store.downloads import hash_file

DATASETS = Path(os.environ.get("VAD_DATASETS", "../shared/data")).resolve()
DETECTOR = DATASETS / "weights/yolox_nano.onnx"
FPS = 10.0


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """The recipes ped2 and objects, scored by the stages."""
    root = DATASETS / "ucsd_ped2"
    if not (root.is_dir() and DETECTOR.is_file()):
        pytest.skip(f"no ucsd_ped2 and weights under {DATASETS}; set VAD_DATASETS")
    project = tiny.copy(tmp_path_factory.mktemp("ped2") / "project")
    overrides = recipe.overrides(["ped2", "objects"], root=str(root), detector=str(DETECTOR))
    project.set(overrides | {"preprocess.person_crop.onnx.sha256": hash_file(DETECTOR)})
    command = [sys.executable, "-c", RUN, json.dumps(None), *UP_TO_SCORE]
    subprocess.run(command, cwd=project.folder, env=project.env, check=True)  # takes some minutes
    return project


@pytest.mark.datasets
@pytest.mark.slow
def test_the_deployed_model_has_the_scores_and_the_auc_of_the_pipeline(project, capsys):
    model = load_deployed(project / "models/deployed")
    labels = manifest.read_labels(project / "data/labels.csv")
    live: list[np.ndarray] = []
    stored: list[np.ndarray] = []
    anomalous: list[np.ndarray] = []
    events = []
    for clip in manifest.read_manifest(project / "data/manifest.csv"):
        if clip.split != "test":
            continue
        session, seen = Session(model, fps=FPS, camera=clip.camera), []
        source = DATASETS / "ucsd_ped2" / clip.source
        frames = decode(source, "gray", 1, clip.first, clip.end, PictureFormat(fps=FPS))[1]
        for decoded in frames:
            seen += session.process(decoded)
        seen += session.finish()
        scored = read_scores(project / "data/scores" / clip.clip)
        live.append(np.array([result.score for result in seen]))
        stored.append(scored.scores)
        anomalous.append(np.zeros(len(seen), bool))
        for start, end in labels.get(clip.clip, []):
            anomalous[-1][start:end] = True
        updates = [*(update for result in seen for update in result.events), *session.final_updates]
        ended = [update.event for update in updates if update.kind == "end"]
        events.append(([(e.start, e.end) for e in ended], [(e.start, e.end) for e in scored.events]))
        np.testing.assert_allclose(live[-1], stored[-1], atol=DEPLOYED_TOLERANCE)
    truth = np.concatenate(anomalous)
    graph, torch = (roc_auc_score(truth, np.concatenate(scores)) for scores in (live, stored))
    difference = max(np.abs(a - b).max() for a, b in zip(live, stored, strict=True))
    with capsys.disabled():
        print(f"\nPed2, micro AUC: graph {graph:.6f}, torch {torch:.6f}; scores differ by {difference:.1e}")
    assert graph == pytest.approx(torch, abs=1e-4)
    assert torch > 0.97
    assert all(ours == theirs for ours, theirs in events)
