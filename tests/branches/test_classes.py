"""Class novelty compared with scikit-learn's PCA."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from tests.branches.normal import normal_clip
from vad import UserError
from vad.branches import classes
from vad.branches.base import Statistics, hash_statistics, load_statistics, save_statistics
from vad.branches.classes import Classes, novelty_of
from vad.store import arrays, cards, tables

RNG = np.random.default_rng(0)
CLASSES = 12


def probabilities(n: int, classes: int = CLASSES) -> np.ndarray:
    """Class probabilities of two kinds of detections, each with few likely classes: float16 [n, classes]."""
    kinds = np.zeros((2, classes))
    kinds[0, :3], kinds[1, 2:6] = (0.8, 0.3, 0.01), (0.2, 0.7, 0.05, 0.001)
    noise = RNG.uniform(0, 1e-3, (n, classes))
    return (
        (kinds[RNG.integers(0, 2, n)] * RNG.uniform(0.5, 1.2, (n, 1)) + noise).clip(0, 1).astype(np.float16)
    )


def write_regions(folder: Path, clips: dict[str, np.ndarray]) -> list[Path]:
    """Stems of clips with the probabilities of their detections; between these lie motion boxes."""
    for name, detections in clips.items():
        n, width = detections.shape
        both = np.full((2 * n, width), 0.5, np.float16)
        both[1::2] = detections
        arrays.write_array(folder / f"{name}.classes", both)
        table = pd.DataFrame({"frame": np.arange(2 * n), "source": ["motion", "detector"] * n})
        tables.write_table(folder / name, table.astype({"source": "str"}))
    return [folder / name for name in clips]


def fit(folder: Path, *clips: np.ndarray, components: int = 4) -> Statistics | None:
    stems = write_regions(folder / "regions", {f"c{i}": clip for i, clip in enumerate(clips)})
    normal = [normal_clip((stem, stem)) for stem in stems]
    return Classes(Classes.Params(components=components)).fit(normal, lambda line: None)


@pytest.mark.parametrize("components", [1, 4, 11, 12, 50])
def test_errors_are_the_squared_residuals_of_scikit_learn(tmp_path, components):
    """At most one component less than classes: with all components, no residual would be left."""
    clips = probabilities(80), probabilities(0), probabilities(45)
    statistics = fit(tmp_path, *clips, components=components)
    normal = np.log(np.concatenate(clips).astype(float) + 1e-4)
    scaler = StandardScaler().fit(normal)
    pca = PCA(min(components, 11)).fit(scaler.transform(normal))
    assert statistics["basis"].shape == (min(components, 11), CLASSES)
    other = np.concatenate([probabilities(20), RNG.random((20, CLASSES)).astype(np.float16)])
    z = scaler.transform(np.log(other.astype(float) + 1e-4))
    expected = ((z - pca.inverse_transform(pca.transform(z))) ** 2).sum(1)
    errors = novelty_of(other, statistics)
    assert (errors.dtype, errors.shape) == (np.float32, (40,))
    np.testing.assert_allclose(errors, expected, rtol=2e-2, atol=2e-3)
    assert (errors >= 0).all()


def test_a_class_that_normal_footage_lacks_stands_out(tmp_path):
    statistics = fit(tmp_path, probabilities(200))
    cart = np.zeros((1, CLASSES), np.float16)
    cart[0, 9] = 0.6
    assert novelty_of(cart, statistics) > 10 * novelty_of(probabilities(100), statistics).max()


def test_a_class_that_never_varies_does_not_divide_by_zero(tmp_path):
    normal = probabilities(50)
    normal[:, 7] = 0
    without = np.delete(normal, 7, 1)
    expected = novelty_of(without, fit(tmp_path, without))
    np.testing.assert_allclose(novelty_of(normal, fit(tmp_path, normal)), expected, rtol=1e-3, atol=1e-4)


def test_many_regions_are_sampled_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(classes, "MAX_REGIONS", 40)
    many, few = probabilities(70), probabilities(30)
    thinned = fit(tmp_path, many, few)
    monkeypatch.undo()
    expected = fit(tmp_path, many[::3], few[::3])
    for name in ("mean", "std", "basis"):
        np.testing.assert_array_equal(thinned[name], expected[name])


def test_statistics_are_the_same_each_time_and_when_read(tmp_path):
    clips = probabilities(60), probabilities(60)
    other = probabilities(30)
    for name in ("a", "b"):
        save_statistics(tmp_path / name, fit(tmp_path, *clips))
    back = load_statistics(tmp_path / "a")
    np.testing.assert_array_equal(novelty_of(other, back), novelty_of(other, fit(tmp_path, *clips)))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["card.json", "weights.safetensors"]
    for file in ("card.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    shapes = {"mean": [CLASSES], "std": [CLASSES], "basis": [4, CLASSES]}
    assert cards.read_json(tmp_path / "a/card.json") == {"fitted": True, "shapes": shapes}
    assert hash_statistics(tmp_path / "a") == hash_statistics(tmp_path / "b")
    save_statistics(tmp_path / "b", fit(tmp_path, *clips, components=3))
    assert hash_statistics(tmp_path / "a") != hash_statistics(tmp_path / "b")


def test_without_a_detector_there_are_no_statistics(tmp_path):
    cards.write_json(tmp_path / "a.json", {"regions": 3})
    branch, log = Classes(Classes.Params(components=4)), []
    for clips in ([normal_clip((tmp_path / "a", tmp_path / "a"))], []):
        assert branch.fit(clips, log.append) is None
    assert log == ["no detector, so no class novelty"] * 2
    save_statistics(tmp_path / "none", None)
    assert [p.name for p in (tmp_path / "none").iterdir()] == ["card.json"]
    assert load_statistics(tmp_path / "none") is None


@pytest.mark.parametrize("numbers", [[], [4], [0, 0], [2, 2]])
def test_too_few_detections_are_refused(tmp_path, numbers):
    """As many detections as components would leave no residual."""
    if not numbers:
        assert fit(tmp_path) is None
        return
    message = (
        rf"^there are {sum(numbers)} detections in training clips, too few for "
        r"branches\.classes\.components = 4; lower it"
    )
    with pytest.raises(UserError, match=message):
        fit(tmp_path, *(probabilities(n) for n in numbers))
    fit(tmp_path, probabilities(5))


def test_regions_of_another_detector_are_refused(tmp_path):
    statistics = fit(tmp_path, probabilities(50))
    with pytest.raises(
        UserError, match=r"fitted to 12 classes, these regions have 80; run `dvc repro statistics`"
    ):
        novelty_of(probabilities(3, classes=80), statistics)


def test_a_clip_without_regions_has_no_errors(tmp_path):
    errors = novelty_of(probabilities(0), fit(tmp_path, probabilities(50)))
    assert (errors.shape, errors.dtype) == ((0,), np.float32)


@pytest.mark.parametrize("file", ["card.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"junk", b"[]", b"{}", b"\x80\x04]\x94."])
def test_a_broken_file_is_refused(tmp_path, file, content):
    save_statistics(tmp_path / "classes", fit(tmp_path, probabilities(50)))
    path = tmp_path / "classes" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"classes.*dvc repro"):
        load_statistics(tmp_path / "classes")


def test_weights_that_disagree_with_the_card_are_refused(tmp_path):
    for name, components in (("a", 4), ("b", 3)):
        save_statistics(tmp_path / name, fit(tmp_path, probabilities(50), components=components))
    (tmp_path / "b/weights.safetensors").replace(tmp_path / "a/weights.safetensors")
    with pytest.raises(UserError, match=r"a: no usable statistics .*differ.*dvc repro statistics"):
        load_statistics(tmp_path / "a")
