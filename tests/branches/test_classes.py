"""Class novelty against scikit-learn's own principal components."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from vad import UserError
from vad.branches import classes
from vad.branches.classes import Novelty, NoveltyParams
from vad.store import arrays, cards, tables

RNG = np.random.default_rng(0)
CLASSES = 12


def seen(n: int, classes: int = CLASSES) -> np.ndarray:
    """Regions of two kinds, each of which a detector holds for a few classes: float16 [n, classes]."""
    kinds = np.zeros((2, classes))
    kinds[0, :3], kinds[1, 2:6] = (0.8, 0.3, 0.01), (0.2, 0.7, 0.05, 0.001)
    found = kinds[RNG.integers(0, 2, n)] * RNG.uniform(0.5, 1.2, (n, 1)) + RNG.uniform(0, 1e-3, (n, classes))
    return found.clip(0, 1).astype(np.float16)


def written(folder: Path, clips: dict[str, np.ndarray]) -> list[Path]:
    """Stems of clips with the probabilities of their regions; between these lies what only moved."""
    for name, probabilities in clips.items():
        n, width = probabilities.shape
        both = np.full((2 * n, width), 0.5, np.float16)
        both[1::2] = probabilities
        arrays.write_array(folder / f"{name}.classes", both)
        table = pd.DataFrame({"frame": np.arange(2 * n), "source": ["motion", "detector"] * n})
        tables.write_table(folder / name, table.astype({"source": "str"}))
    return [folder / name for name in clips]


def fit(folder: Path, *clips: np.ndarray, components: int = 4) -> Novelty | None:
    stems = written(folder / "regions", {f"c{i}": one for i, one in enumerate(clips)})
    return classes.fit(stems, NoveltyParams(components=components))


@pytest.mark.parametrize("components", [1, 4, 11, 12, 50])
def test_errors_are_the_squared_residuals_of_scikit_learn(tmp_path, components):
    """One component less than there are classes at most: with all of them nothing would be left over."""
    clips = seen(80), seen(0), seen(45)
    found = fit(tmp_path, *clips, components=components)
    normal = np.log(np.concatenate(clips).astype(float) + 1e-4)
    scaler = StandardScaler().fit(normal)
    pca = PCA(min(components, 11)).fit(scaler.transform(normal))
    assert found.basis.shape == (min(components, 11), CLASSES)
    other = np.concatenate([seen(20), RNG.random((20, CLASSES)).astype(np.float16)])
    z = scaler.transform(np.log(other.astype(float) + 1e-4))
    expected = ((z - pca.inverse_transform(pca.transform(z))) ** 2).sum(1)
    errors = found.errors(other)
    assert (errors.dtype, errors.shape) == (np.float32, (40,))
    np.testing.assert_allclose(errors, expected, rtol=2e-2, atol=2e-3)
    assert (errors >= 0).all()


def test_what_looks_like_nothing_normal_stands_out(tmp_path):
    found = fit(tmp_path, seen(200))
    cart = np.zeros((1, CLASSES), np.float16)
    cart[0, 9] = 0.6
    assert found.errors(cart) > 10 * found.errors(seen(100)).max()


def test_a_class_that_is_never_seen_divides_by_no_zero(tmp_path):
    normal = seen(50)
    normal[:, 7] = 0
    without = np.delete(normal, 7, 1)
    expected = fit(tmp_path, without).errors(without)
    np.testing.assert_allclose(fit(tmp_path, normal).errors(normal), expected, rtol=1e-3, atol=1e-4)


def test_many_regions_are_thinned_out_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(classes, "MOST", 40)
    one, other = seen(70), seen(30)
    thinned = fit(tmp_path, one, other)
    monkeypatch.undo()
    kept = fit(tmp_path, one[::3], other[::3])
    for name in ("mean", "std", "basis"):
        np.testing.assert_array_equal(getattr(thinned, name), getattr(kept, name))


def test_it_is_the_same_each_time_and_as_it_was_stored(tmp_path):
    clips = seen(60), seen(60)
    other = seen(30)
    for name in ("a", "b"):
        classes.save(fit(tmp_path, *clips), tmp_path / name)
    back = classes.load(tmp_path / "a")
    np.testing.assert_allclose(back.errors(other), fit(tmp_path, *clips).errors(other), rtol=1e-4)
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["card.json", "weights.safetensors"]
    for file in ("card.json", "weights.safetensors"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert cards.read_json(tmp_path / "a/card.json") == {"classes": CLASSES, "components": 4}
    assert classes.fingerprint(tmp_path / "a") == classes.fingerprint(tmp_path / "b")
    classes.save(fit(tmp_path, *clips, components=3), tmp_path / "b")
    assert classes.fingerprint(tmp_path / "a") != classes.fingerprint(tmp_path / "b")


def test_without_a_detector_there_is_none(tmp_path):
    cards.write_json(tmp_path / "a.json", {"regions": 3})
    assert classes.fit([tmp_path / "a"], NoveltyParams(components=4)) is None
    assert classes.fit([], NoveltyParams(components=4)) is None
    classes.save(None, tmp_path / "none")
    assert [p.name for p in (tmp_path / "none").iterdir()] == ["card.json"]
    assert classes.load(tmp_path / "none") is None


@pytest.mark.parametrize("found", [[], [4], [0, 0], [2, 2]])
def test_too_few_regions_are_refused(tmp_path, found):
    """As many as components span nothing."""
    if not found:
        assert fit(tmp_path) is None
        return
    with pytest.raises(
        UserError,
        match=rf"found {sum(found)} regions in training clips, too few for novelty\.components = 4; lower it",
    ):
        fit(tmp_path, *(seen(n) for n in found))
    fit(tmp_path, seen(5))


def test_regions_of_another_detector_are_refused(tmp_path):
    found = fit(tmp_path, seen(50))
    with pytest.raises(
        UserError, match=r"learned of 12 classes, these regions have 80; run `dvc repro novelty`"
    ):
        found.errors(seen(3, classes=80))


def test_a_clip_without_regions_has_no_errors(tmp_path):
    errors = fit(tmp_path, seen(50)).errors(seen(0))
    assert (errors.shape, errors.dtype) == ((0,), np.float32)


@pytest.mark.parametrize("file", ["card.json", "weights.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"junk", b"[]", b"\x80\x04]\x94."])
def test_a_broken_file_is_refused(tmp_path, file, content):
    classes.save(fit(tmp_path, seen(50)), tmp_path / "novelty")
    path = tmp_path / "novelty" / file
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"novelty.*dvc repro"):
        classes.load(tmp_path / "novelty")
