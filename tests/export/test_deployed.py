"""The folder of a deployed model: what it holds, and what is refused when it is loaded."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from tests.live.configurations import DETECTOR
from tests.live.test_session import assert_equal, clips_of, watch
from tests.project import ROOT, Project
from tests.trained import run_stages, trained
from vad import UserError
from vad.live import PictureScorer, TrainedModel, load_deployed
from vad.live.deployed_model import FORMAT, Card
from vad.pipeline import params
from vad.store.downloads import hash_file

EXPORT = "from vad.pipeline import stage; from stages.export import main; main(stage.Run('export'))"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """With a detector and two folds."""
    return trained(tmp_path_factory.mktemp("deployed"), "objects", folds=2)


@pytest.fixture
def folder(project, tmp_path) -> Path:
    """A copy of the deployed model, elsewhere."""
    return Path(shutil.copytree(project / "models/deployed", tmp_path / "a model's copy"))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_deployed(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def change_card(folder: Path, **changes: Any) -> None:
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(card | changes))


def test_it_holds_what_scoring_needs_and_nothing_else(project, folder):
    files = contents(folder)
    statistics = {
        f"branches/{path.relative_to(project / 'models/branches').as_posix()}"
        for path in (project / "models/branches").rglob("*.*")
    }
    assert set(files) == statistics | {
        *("model.json", "README.md", "LICENSE", "parameters.yaml", "errors.onnx"),
        *("body_height.json", "calibration.json", "zones.yaml", "detector.onnx"),
    }
    for name in ("data/body_height.json", "data/zones.yaml", "models/calibration.json"):
        assert files[Path(name).name] == project.read(name)
    assert files["detector.onnx"] == project.read(DETECTOR)
    assert files["LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_card_says_what_the_model_is(project, folder):
    card = Card.read(folder)
    files = contents(folder)
    assert {name: entry.bytes for name, entry in card.files.items()} == {
        name: len(content) for name, content in files.items() if name != "model.json"
    }
    assert all(hash_file(folder / name) == entry.sha256 for name, entry in card.files.items())
    (camera,) = card.cameras
    assert (camera.camera, camera.clips, camera.sizes, camera.rates) == ("hall", 4, [(64, 48)], [2.5])
    assert camera.hours == pytest.approx(4 * 24 / 2.5 / 3600, abs=1e-6)
    assert card.folds == [0, 1]
    assert card.classes == ["person", "bicycle", "car"]
    assert card.agreement.level < 1e-4
    assert set(card.agreement.error) == {"appearance", "flow"}
    text = (folder / "README.md").read_text("utf-8")
    row = "| hall | 4 | 38.4 seconds | 64x48 | 2.5 |"
    detector = f"`detector.onnx` (sha256 `{card.files['detector.onnx'].sha256}`) is not known"
    for part in (row, detector, "`classes`", "vad detect", "threshold rests on"):
        assert part in text


def test_parameters_are_those_in_force_with_all_defaults(project, folder, monkeypatch):
    stated, raw = params.read(folder / "parameters.yaml"), params.read(project / "params.yaml")
    assert stated["branches"]["motion"] == {"neighbours": 100.0, "prior": 20.0, "rate": 4.0}  # all defaults
    assert stated["preprocess"]["person_crop"]["onnx"]["weights"] == "detector.onnx"
    assert set(stated) == {"data", "extract", "flow", "preprocess", "resize", "model", "branches", "measure"}
    monkeypatch.chdir(project.folder)
    ours, theirs = load_deployed(folder), TrainedModel.load()
    for name in ("extract", "resize", "window", "body_heights", "cell"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.flow.params == theirs.flow.params
    assert ours.mode.params.active() == theirs.mode.params.active()
    assert raw["preprocess"]["person_crop"]["onnx"]["every_n"] == ours.mode.params.onnx.every_n


def test_nothing_in_it_says_where_it_was_made(project, folder):
    telling = [str(project.folder), str(ROOT), str(Path.home()), "/tmp", "site-packages"]
    for name, content in contents(folder).items():
        for text in telling:
            assert text.encode() not in content, f"{name}: {text}"


def test_the_same_model_gives_the_same_bytes_elsewhere_and_after_a_killed_run(project, tmp_path):
    other = Project(Path(shutil.copytree(project.folder, tmp_path / "elsewhere/project")))
    other.set({"preprocess.person_crop.onnx.weights": str(other / DETECTOR)})
    (other / "models/deployed.part").mkdir()
    (other / "models/deployed.part/half.onnx").write_bytes(b"half")
    (other / "models/deployed/of an earlier model").write_bytes(b"old")
    other.run(sys.executable, "-c", EXPORT)  # a process of its own, which hashes texts to other numbers
    assert contents(other / "models/deployed") == contents(project / "models/deployed")
    assert not (other / "models/deployed.part").exists()


def test_scores_are_those_of_the_pipeline_with_folds(project, folder):
    model = load_deployed(folder)
    assert len([branch for branch in model.branches if branch.name == "reconstruction"]) == 1
    for clip in clips_of(project):
        assert_equal(project, clip, watch(project, clip, model), tolerance=1e-4)


def test_scores_of_pictures_are_those_of_the_trained_model(project, folder, monkeypatch):
    monkeypatch.chdir(project.folder)
    pixels = np.load(project / f"data/frames/{clips_of(project)[0].clip}.npy")[0]
    models = load_deployed(folder), TrainedModel.load()
    ours, theirs = (PictureScorer(model, "hall").score(pixels) for model in models)
    assert ours.branch_errors.keys() == theirs.branch_errors.keys() >= {"appearance"}
    assert len(theirs.regions)
    np.testing.assert_allclose(ours.score, theirs.score, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.region_scores, theirs.region_scores, rtol=1e-4, atol=1e-4)


BARRED = """
import sys
class Bar:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning", "dvc", "pandas", "pyarrow", "scipy", "sklearn",
                                      "matplotlib", "joblib", "onnx"):
            raise ImportError(f"{name} is barred")
sys.meta_path.insert(0, Bar())
from pathlib import Path
from vad.footage.decode import decode
from vad.live import Session, load_deployed
session, out = Session(load_deployed(Path(sys.argv[1])), fps=2.5, camera="hall"), []
for decoded in decode(Path(sys.argv[2]), "gray", 1, 0, None)[1]:
    out += session.process(decoded)
print(len(out + session.finish()))
"""


def test_a_session_needs_neither_torch_nor_dvc_nor_tables(project, folder, tmp_path):
    clip = clips_of(project)[0]
    video = project / "data/tiny" / clip.source
    assert project.run(sys.executable, "-c", BARRED, folder, video).strip() == "24"


def test_a_folder_that_is_no_deployed_model_is_refused(tmp_path):
    assert "no such folder; `dvc repro export` makes a deployed model" in refusal(tmp_path / "none")
    assert "not a deployed model (no model.json)" in refusal(tmp_path)
    (tmp_path / "model.json").write_text("{")
    assert "model.json: cannot be read" in refusal(tmp_path)
    (tmp_path / "model.json").write_text("[]")
    assert "model.json: cannot be read" in refusal(tmp_path)
    (tmp_path / "model.json").write_text(f'{{"format": {FORMAT}}}')
    assert "model.json: damaged at unusable" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (FORMAT + 1, f"a newer version (format {FORMAT + 1}, this one reads {FORMAT}); update"),
        (FORMAT - 1, f"an older version (format {FORMAT - 1},"),
    ],
)
def test_another_format_is_refused(folder, version, text):
    change_card(folder, format=version, entirely="other")
    assert text in refusal(folder)


@pytest.mark.parametrize(
    "name", ["errors.onnx", "detector.onnx", "calibration.json", "branches/1/shape/weights.safetensors"]
)
def test_a_damaged_folder_is_refused(folder, name):
    path = folder / name
    before = path.read_bytes()
    path.unlink()
    assert f"damaged, as {name} is missing" in refusal(folder)
    path.write_bytes(before[:-1])
    assert f"damaged, as {name} has {len(before) - 1} bytes, not {len(before)}" in refusal(folder)
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    assert f"damaged, as {name} is not what was exported" in refusal(folder)
    path.write_bytes(before)
    load_deployed(folder)


def test_notes_in_the_readme_do_no_damage(folder):
    with open(folder / "README.md", "a") as file:
        file.write("Of the hall.\n")
    load_deployed(folder)


def test_a_detector_with_other_classes_is_refused(folder):
    change_card(folder, classes=["person"])
    assert "the detector has 3 classes, but the model learned from 1" in refusal(folder)


@pytest.mark.parametrize(
    "weights",
    [
        {"preprocess.person_crop.onnx.weights": "../detector.onnx"},
        {"preprocess.person_crop.onnx.other": "detector.onnx"},
        {"preprocess.other.onnx.weights": "detector.onnx"},
    ],
)
def test_a_card_that_names_other_files_or_keys_is_refused(folder, weights):
    change_card(folder, weights=weights)
    assert "model.json: damaged at weights.preprocess" in refusal(folder)


def test_parameters_of_another_version_are_refused(folder):
    raw = params.read(folder / "parameters.yaml")
    raw["resize"]["unheard_of"] = 1
    YAML().dump(raw, folder / "parameters.yaml")
    card = Card.read(folder)
    files = {name: entry.model_dump() for name, entry in card.files.items()}
    path = folder / "parameters.yaml"
    change_card(
        folder,
        files=files | {path.name: {"bytes": path.stat().st_size, "sha256": hash_file(path)}},
    )
    assert "cannot be used by this version" in (text := refusal(folder))
    assert "resize: unknown key 'unheard_of'" in text


@pytest.fixture
def median(project) -> Iterator[Path]:
    """The folder of a model whose background is the median of the whole clip."""
    before = project.read("params.yaml")
    deployed = contents(project / "models/deployed")
    project.set({"preprocess.foreground": {"method": "median"}})
    run_stages(project.folder, ["export"])
    yield project / "models/deployed"
    (project / "params.yaml").write_bytes(before)
    run_stages(project.folder, ["export"])
    assert contents(project / "models/deployed") == deployed


def test_a_model_that_cannot_be_used_live_becomes_a_folder_that_says_why(median):
    assert set(contents(median)) == {"model.json", "README.md", "LICENSE"}
    assert "cannot be used: preprocess.foreground.method: median reads" in refusal(median)
    assert "This model cannot score footage frame by frame:** preprocess.foreground" in (
        (median / "README.md").read_text("utf-8")
    )
