"""The synthetic sample in data/sample, and its generator."""

import csv
import time
from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vad import UserError
from vad.store.intervals import frame_labels, intervals_of
from vad.synthetic import CLIPS, TINY, Script, generate, instances, render
from vad.synthetic.__main__ import main

SAMPLE = Path(__file__).parents[2] / "data/sample"
FRAMES, WIDTH, HEIGHT = 120, 176, 132
SMALL = {"frames": 24, "width": 64, "height": 48}


def script(name: str) -> Script:
    return next(s for s in CLIPS if s.name == name)


def decode(path: Path) -> np.ndarray:
    """uint8 [T, H, W, 3]"""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(float) - b) ** 2), 1e-9)))


def read_labels(root: Path) -> dict[str, list[tuple[int, int]]]:
    labels: dict[str, list[tuple[int, int]]] = {}
    with open(root / "labels.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels.setdefault(row["clip"], []).append((int(row["start"]), int(row["end"])))
    return labels


def read_masks(root: Path) -> dict[str, np.ndarray]:
    folder = root / "masks/test"
    masks = {}
    for path in sorted(folder.rglob("*.npz")):
        with np.load(path) as arrays:
            (masks[path.relative_to(folder).with_suffix("").as_posix()],) = arrays.values()
    return masks


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tiny") / "sample"
    generate(out, clips=TINY, **SMALL)
    return out


# What is committed


def test_sample_is_small_and_complete() -> None:
    files = tree(SAMPLE)
    assert sum(map(len, files.values())) <= 2_000_000
    videos = sorted(name.removesuffix(".mp4") for name in files if name.endswith(".mp4"))
    assert videos == sorted(s.name for s in CLIPS)
    masks = sorted(name for name in files if name.endswith(".npz"))
    assert masks == sorted(f"masks/{s.name}.npz" for s in CLIPS if s.name.startswith("test/"))
    assert set(files) == {f"{v}.mp4" for v in videos} | set(masks) | {"labels.csv", "README.md"}


def test_sample_has_enough_of_each_kind() -> None:
    names = [s.name for s in CLIPS]
    assert sum(n.startswith("train/") for n in names) >= 12
    assert sum(n.startswith("test/") for n in names) >= 6
    acts = {type(act).__name__ for s in CLIPS for act in s.acts}
    assert acts == {"Run", "Cycle", "Fall", "LeaveSuitcase", "LooseDog"}
    labels = read_labels(SAMPLE)
    for s in CLIPS:
        split, _, name = s.name.partition("/")
        assert split == "test" or not s.acts
        assert (name in labels) == bool(s.acts)
    for camera in ("hall", "yard"):
        assert script(f"test/{camera}/walk").acts == ()


@pytest.mark.parametrize("name", [s.name for s in CLIPS])
def test_sample_decodes_to_the_stated_frames(name: str) -> None:
    with av.open(str(SAMPLE / f"{name}.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 12.5
        assert sum(1 for _ in container.decode(stream)) == FRAMES
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
    assert f"| {name.partition('/')[2]} | {FRAMES} |" in (SAMPLE / "README.md").read_text(encoding="utf-8")


def test_labels_are_the_frames_with_mask_pixels() -> None:
    labels, masks = read_labels(SAMPLE), read_masks(SAMPLE)
    assert set(labels) <= set(masks)
    for name, mask in masks.items():
        assert mask.shape == (FRAMES, HEIGHT, WIDTH)
        assert mask.dtype == bool
        assert labels.get(name, []) == intervals_of(mask.any(axis=(1, 2)))


def test_sample_equals_the_output_of_the_generator() -> None:
    name = "hall/fall"
    frames, masks = render(script(f"test/{name}"))
    assert psnr(decode(SAMPLE / f"test/{name}.mp4"), frames) > 32
    stored = read_masks(SAMPLE)[name]
    # Not equality: another processor may round a sine differently.
    assert np.mean(stored == masks) > 0.9999


def test_trivial_scorers_are_weak() -> None:
    labels = read_labels(SAMPLE)
    tests = [s.name.partition("/")[2] for s in CLIPS if s.name.startswith("test/")]
    t = np.arange(FRAMES)
    truth = np.concatenate([frame_labels(labels.get(name, []), t) for name in tests])
    since_start = np.tile(t, len(tests))
    assert 0.35 <= roc_auc_score(truth, since_start) <= 0.65
    for seed in range(5):
        noise = np.random.default_rng(seed).random(len(truth))
        assert 0.35 <= roc_auc_score(truth, noise) <= 0.65
    assert 0.25 < truth.mean() < 0.5


# The generator


def test_same_seed_same_frames(tiny: Path, tmp_path: Path) -> None:
    for one in TINY:
        for a, b in zip(render(one, **SMALL), render(one, **SMALL), strict=True):
            assert np.array_equal(a, b)
    generate(tmp_path / "again", clips=TINY, **SMALL)
    again, before = tree(tmp_path / "again"), tree(tiny)
    assert set(again) == set(before)
    # The bytes of the videos are the encoder's affair.
    assert all(again[name] == before[name] for name in before if not name.endswith(".mp4"))


def test_other_seed_other_frames() -> None:
    a, _ = render(TINY[0], seed=0, **SMALL)
    b, _ = render(TINY[0], seed=1, **SMALL)
    assert not np.array_equal(a, b)


def test_a_clip_does_not_depend_on_the_others(tiny: Path, tmp_path: Path) -> None:
    generate(tmp_path / "fewer", clips=TINY[-1:], **SMALL)
    name = f"{TINY[-1].name}.mp4"
    assert psnr(decode(tmp_path / "fewer" / name), decode(tiny / name)) > 40
    name = f"masks/{TINY[-1].name}.npz"
    assert (tmp_path / "fewer" / name).read_bytes() == (tiny / name).read_bytes()


def test_tiny_is_complete_and_quick(tiny: Path, tmp_path: Path) -> None:
    before = time.process_time()
    returned = generate(tmp_path / "timed", clips=TINY, **SMALL)
    assert time.process_time() - before < 2
    labels, masks = read_labels(tiny), read_masks(tiny)
    assert {k: v for k, v in returned.items() if v} == labels
    assert set(labels) == {"hall/run", "hall/fall"}
    for name, mask in masks.items():
        assert mask.shape == (24, 48, 64)
        assert labels[name] == intervals_of(mask.any(axis=(1, 2)))
    assert len(list(tiny.glob("train/*/*.mp4"))) == 3


@pytest.mark.parametrize("name", ["train/yard/walk1", "test/hall/walk"])
def test_walkers_are_normal(name: str) -> None:
    frames, masks = render(script(name), **SMALL)
    assert frames.dtype == np.uint8
    assert frames.shape == (24, 48, 64, 3)
    assert not masks.any()


def test_masks_cover_the_pixels_that_an_anomaly_changes() -> None:
    """Masked pixels differ from the background, so masks and frames are aligned."""
    frames, masks = render(script("test/yard/cycle"), frames=60)
    background = np.median(frames, axis=0)
    difference = np.abs(frames - background).max(axis=3)
    inside = np.concatenate([d[m] for d, m in zip(difference, masks, strict=True)])
    assert np.mean(inside > 12) > 0.85
    assert np.mean(difference[~masks] > 12) < 0.2


@pytest.mark.parametrize("one", [s for s in CLIPS if s.name.startswith("test/")], ids=lambda s: s.name)
def test_instances_agree_with_masks(one: Script) -> None:
    """The anomalous pixels are exactly those of an actor per act; a pixel belongs to a single actor."""
    _, masks = render(one, **SMALL)
    anomalous = set()
    for labels, mask in zip(instances(one, **SMALL), masks, strict=True):
        assert labels.dtype == np.int32
        assert labels.shape == mask.shape
        here = set(np.unique(labels[mask]).tolist())
        assert np.array_equal(np.isin(labels, list(here)), mask) if here else not mask.any()
        anomalous |= here
    assert 0 not in anomalous
    assert len(anomalous) == len(one.acts)


def test_instances_cover_the_pixels_that_actors_change() -> None:
    """Pixels brighter than the background, so no shadows, have a label; unlabelled pixels do not change."""
    frames, _ = render(script("train/hall/walk2"), frames=60)
    labels = np.stack(list(instances(script("train/hall/walk2"), frames=60)))
    gray = frames.mean(axis=3)
    # drift of the light scales the picture as a whole
    gray *= (np.median(gray) / np.median(gray, axis=(1, 2)))[:, None, None]
    brighter = gray - np.median(gray, axis=0) > 25
    assert brighter.sum() > 1000
    assert np.mean(labels[brighter] > 0) > 0.95
    assert np.mean(brighter[labels == 0]) < 0.001


def test_instances_keep_their_numbers() -> None:
    """Each number follows a connected path at walking speed; the numbers start from 1."""
    labels = np.stack(list(instances(script("test/yard/dog"))))
    numbers = set(np.unique(labels).tolist()) - {0}
    assert numbers <= set(range(1, 20))
    assert len(numbers) > 3
    for number in numbers:
        mask = labels == number
        seen = np.flatnonzero(mask.sum(axis=(1, 2)) > 60)
        middle = np.array([np.flatnonzero(mask[t].any(axis=0)).mean() for t in seen])
        assert np.all(np.abs(np.diff(middle)) <= 12 * np.diff(seen))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--width", "63"], "width is 63, expected an even number"),
        (["--height", "8"], "height is 8, expected 32 to 1080"),
        (["--frames", "1"], "frames is 1, expected 2 to 10000"),
        (["--crf", "60"], "crf is 60"),
        (["--seed", "-1"], "seed is -1"),
        (["--frames", "many"], "invalid int value"),
    ],
)
def test_bad_arguments_give_a_single_line(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(["--out", str(tmp_path / "new"), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_without_force(tiny: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "holiday.mp4").write_bytes(b"precious")
    for force in (False, True):
        with pytest.raises(UserError, match="something other than an earlier sample"):
            generate(mine, clips=TINY, **SMALL, force=force)
    assert (mine / "holiday.mp4").read_bytes() == b"precious"
    with pytest.raises(UserError, match="--force"):
        generate(tiny, clips=TINY, **SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        generate(tmp_path / "file", clips=TINY, **SMALL)


def test_force_replaces_an_earlier_sample(tmp_path: Path) -> None:
    out = tmp_path / "sample"
    generate(out, clips=TINY[:2], **SMALL)
    generate(out, clips=TINY[1:2], **SMALL, force=True)
    assert [p.stem for p in out.rglob("*.mp4")] == ["walk2"]
    assert list(tmp_path.iterdir()) == [out]
