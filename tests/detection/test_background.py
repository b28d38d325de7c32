"""Background subtraction: what is foreground, what is not, and what each parameter does."""

import tracemalloc
import weakref

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from tests.detection.frames import FPS, foreground_masks, items
from vad import UserError
from vad.detection.background import changing_share, clean, foreground, shadow
from vad.detection.foreground_params import SILHOUETTES, ForegroundParams, ForegroundSettings
from vad.pipeline import params

METHODS = ("mog2", "knn", "median")
HEIGHT, WIDTH = 60, 90


def how(method: str = "mog2", history: int = 100, **changes) -> ForegroundSettings:
    """Settings; `history` is in frames."""
    values = {
        "history": history / FPS,
        "initial_frames": 30,
        "learning_rate": -1,
        "threshold": None,
        "background_ratio": 0.7,
        "shadows": False,
        "open": 0,
        "close": 0,
        "min_area": 8,
    }
    return ForegroundParams(method=method, **values | changes).resolve(SILHOUETTES)


def run(frames: np.ndarray, p: ForegroundSettings) -> np.ndarray:
    masks = list(foreground_masks(frames, p))
    assert all(mask.dtype == bool and mask.shape == frames.shape[1:3] for mask in masks)
    return np.stack(masks)


def place(length: int, color: bool = False, noise: float = 2.0, seed: int = 0) -> np.ndarray:
    """An empty scene with texture and sensor noise, float [T, H, W] or [T, H, W, 3]."""
    rng = np.random.default_rng(seed)
    shape = (HEIGHT, WIDTH, 3) if color else (HEIGHT, WIDTH)
    ground = 120 + 6 * cv2.GaussianBlur(rng.normal(0, 4, shape), (0, 0), 2)
    return ground + rng.normal(0, noise, (length, *shape))


def film(scene: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def walk(
    length: int = 60, starts: int = 0, color: bool = False, speed: float = 1.0, value: float = 210.0
) -> tuple[np.ndarray, np.ndarray]:
    """(frames with a person of 30x12 pixels who enters in frame `starts`, 0: is present at first; masks)."""
    scene, truth = place(length, color), np.zeros((length, HEIGHT, WIDTH), bool)
    for t in range(starts, length):
        x = round((5 if starts == 0 else -12) + speed * (t - starts))
        truth[t, 20:50, max(x, 0) : max(x + 12, 0)] = True
    scene[truth] = value
    return film(scene), truth


def iou(masks: np.ndarray, truth: np.ndarray) -> float:
    return (masks & truth).sum() / (masks | truth).sum()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [False, True])
def test_a_still_clip_has_no_foreground(method, color):
    still = np.repeat(film(place(1, color)), 40, axis=0)
    assert not run(still, how(method, min_area=0)).any()
    assert not run(film(place(40, color)), how(method, shadows=True)).any()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [False, True])
def test_a_person_who_walks_in_later_is_foreground(method, color):
    frames, truth = walk(length=100, starts=30, color=color)
    masks = run(frames, how(method, shadows=True))
    assert not masks[:30].any()
    assert min(iou(masks[t], truth[t]) for t in range(36, 100) if truth[t].sum() > 100) > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_a_person_who_is_there_from_the_start_leaves_no_ghost(method):
    """In frame 0 only the walker is foreground; later the place where they stood is not."""
    frames, truth = walk(speed=1.2)
    masks = run(frames, how(method))
    assert min(iou(a, b) for a, b in zip(masks, truth, strict=True)) > 0.9
    unwarned = run(frames, how(method, initial_frames=1, learning_rate=0))
    assert iou(unwarned[30], truth[30]) < 0.7, "learned from frame 0 alone there is a ghost"


@pytest.mark.parametrize("method", METHODS)
def test_a_person_who_stays_for_a_while_is_foreground(method):
    """A person stands still for a seventh of the clip, then walks off."""
    frames, truth = walk(length=105)
    frames[:15], truth[:15] = frames[0], truth[0]
    masks = run(frames, how(method, learning_rate=0, history=105))
    assert iou(masks[:15], truth[:15]) > 0.9
    if method != "median":
        tolerant = run(frames, how(method, learning_rate=0, history=105, background_ratio=0.95))
        assert iou(tolerant[:15], truth[:15]) < 0.6


@pytest.mark.parametrize("method", ["mog2", "knn"])
def test_the_learning_rate_decides_how_fast_things_become_background(method):
    """A thing that is put down becomes background, unless the learning rate is 0."""
    frames = film(place(110))
    frames[60:, 20:40, 30:50] = 220
    for rate, left in ((0.0, 1.0), (0.2, 0.0)):
        masks = run(frames, how(method, learning_rate=rate, history=50))
        assert masks[60, 20:40, 30:50].mean() > 0.99
        assert masks[109, 20:40, 30:50].mean() == left
    assert not run(frames, how(method, history=10))[109].any(), "1 / history"


def test_a_median_learns_only_from_background_pixels():
    """Slow changes of light are learned at the rate; a thing that differs at once is not learned."""
    frames = np.full((60, HEIGHT, WIDTH), 100, np.uint8)
    frames[:, :, 60:] = np.linspace(100, 160, 60)[:, None, None]
    frames[30:, 20:40, 10:30] = 200
    p = {"history": 60, "initial_frames": 1, "threshold": 10.0}
    follows = run(frames, how("median", learning_rate=0.5, **p))
    assert not follows[:, :, 60:].any()
    assert follows[30:, 20:40, 10:30].all()
    assert run(frames, how("median", learning_rate=0.0, **p))[59, :, 60:].any()


@settings(max_examples=25)
@given(
    frames=arrays(np.uint8, st.tuples(st.integers(1, 25), st.integers(1, 6), st.integers(1, 6))),
    history=st.integers(1, 30),
)
def test_median_against_numpy(frames, history):
    """Each period of `history` frames has its median; the last is extended backwards to full length."""
    p = how("median", history=history, initial_frames=1000, learning_rate=0, threshold=20.0, min_area=0)
    masks = run(frames, p)
    for t, frame in enumerate(frames):
        end = min(t // history * history + history, len(frames))
        background = np.median(frames[max(end - history, 0) : end], axis=0)
        lit = background[::4, ::4] >= 8
        ratio = frame[::4, ::4][lit] / background[::4, ::4][lit]
        difference = np.abs(frame - background * (np.median(ratio) if lit.any() else 1))
        clear = np.abs(difference - 20) > 0.01
        assert np.array_equal(masks[t][clear], difference[clear] > 20)


def test_a_median_is_computed_from_frames_spread_over_the_history():
    frames = np.full((40, 8, 8), 50, np.uint8)
    frames[20:, :4, :4] = 200  # half of the time
    frames[20, :4, :4] = frames[39, :4, :4] = 50
    # of frames 0, 20 and 39 all show 50; of frames 0 to 2 as well, of frames 38 and 39 half
    p = how("median", history=40, initial_frames=3, learning_rate=0, min_area=0)
    assert run(frames, p)[21:39, :4, :4].all()
    assert not run(frames, p)[:20].any()


@pytest.mark.parametrize("change", [0.85, 1.15])
def test_a_median_adapts_to_changes_of_the_light(change):
    frames, truth = walk()
    brighter = film(frames * np.linspace(1, change, len(frames))[:, None, None])
    assert iou(run(brighter, how("median")), truth) > 0.85


@pytest.mark.parametrize(
    ("method", "low", "high"), [("mog2", 9.0, 3000.0), ("knn", 100.0, 7000.0), ("median", 9, 80)]
)
def test_a_low_threshold_finds_a_walker_and_a_high_one_nothing(method, low, high):
    frames, truth = walk(value=180)
    assert iou(run(frames, how(method, threshold=low)), truth) > 0.85
    assert not run(frames, how(method, threshold=high)).any()


# Shadows


def shaded(color: bool, length: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(frames of a walker with a soft shadow in front, masks of the walker, masks of the shadow)."""
    scene, (_, walker) = place(length, color, noise=1.0), walk(length, speed=2)
    shade = np.zeros((length, HEIGHT, WIDTH), np.float32)
    for t in range(length):
        cv2.ellipse(shade[t], (5 + 2 * t + 22, 49), (14, 6), 0, 0, 360, 0.4, -1)
        shade[t] = cv2.GaussianBlur(shade[t], (0, 0), 2)
    scene *= 1 - (shade[..., None] if color else shade)
    scene[walker] = 225
    return film(scene), walker, (shade > 0.25) & ~walker


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("color", [False, True])
def test_shadows_are_removed(method, color):
    frames, walker, shade = shaded(color)
    masks = run(frames, how(method))
    assert masks[shade].mean() > 0.8
    without = run(frames, how(method, shadows=True))
    assert without[shade].mean() < 0.15
    assert without[walker].mean() > 0.9
    assert not (without & ~masks).any()


def test_dark_clothes_are_no_shadow():
    """They are plain and darker than the background, like a shadow, but have an edge."""
    background = film(place(1, noise=0))[0].astype(np.float32)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[15:45, 30:60] = True
    frame = np.where(mask, 0.7 * background, background)
    assert not (shadow(frame, background, mask) & mask).any()
    soft = background * (1 - 0.3 * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3))
    assert shadow(soft, background, mask)[mask].all()
    # brighter than the background, or nearly black: never
    for change in (0.3, 0.75):
        bright = background * (1 + change * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3))
        assert not shadow(bright, background, mask)[20:40, 35:55].any()
    black = background * (1 - 0.8 * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3))
    assert not shadow(black, background, mask)[20:40, 35:55].any()


def test_another_colour_is_no_shadow():
    background = film(place(1, color=True, noise=0))[0].astype(np.float32)
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[15:45, 30:60] = 1
    soft = cv2.GaussianBlur(mask, (0, 0), 3)[..., None]
    here = mask > 0
    assert shadow(background * (1 - 0.3 * soft), background, here)[here].all()
    red = background * (1 - np.array([0.0, 0.3, 0.3]) * soft)
    assert not shadow(red, background, here)[20:40, 35:55].any()


# Cleaning


@settings(max_examples=60)
@given(
    mask=arrays(bool, st.tuples(st.integers(1, 24), st.integers(1, 24))),
    opening=st.sampled_from([0, 1, 3, 5]),
    closing=st.sampled_from([0, 1, 3, 5]),
    min_area=st.integers(0, 12),
)
def test_clean_against_scipy(mask, opening, closing, min_area):
    def ellipse(diameter: int) -> np.ndarray:
        # a row of OpenCV's ellipse reaches as far as the rounded half chord
        r = diameter // 2
        reach = [round(r * np.sqrt(max(1 - (y / r) ** 2, 0))) if r else 0 for y in range(-r, r + 1)]
        return np.array([[abs(x) <= n for x in range(-r, r + 1)] for n in reach])

    want = mask
    if opening:
        want = ndimage.binary_erosion(want, ellipse(opening), border_value=1)
        want = ndimage.binary_dilation(want, ellipse(opening))
    if closing:
        want = ndimage.binary_dilation(want, ellipse(closing))
        want = ndimage.binary_erosion(want, ellipse(closing), border_value=1)
    blobs, _ = ndimage.label(want, np.ones((3, 3)))
    areas = np.bincount(blobs.ravel())
    want = want & (areas[blobs] >= min_area)
    before = mask.copy()
    assert np.array_equal(clean(mask, opening, closing, min_area), want)
    assert np.array_equal(mask, before)


def test_opening_closing_and_the_smallest_area_have_their_effect():
    frames, truth = walk()
    frames[30, 5, 5] = 0  # a speck
    frames[30, 35, 35:47] = frames[0, 35, 75]  # a gap through the walker
    assert truth[30, 35, 35:47].all()
    plain = run(frames, how(min_area=0))[30]
    assert plain[5, 5]
    assert not plain[35, 37:45].any()
    assert not run(frames, how(min_area=2))[30, 5, 5]
    assert not run(frames, how(min_area=0, open=3))[30, 5, 5]
    assert run(frames, how(min_area=0, close=5))[30, 35, 37:45].all()
    assert not run(frames, how(min_area=HEIGHT * WIDTH)).any()


# Running


@pytest.mark.parametrize("method", METHODS)
def test_the_same_frames_give_the_same_masks(method):
    frames, _ = walk(color=True)
    p = how(method, shadows=True, close=3, history=15)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = run(frames, p)
        cv2.setNumThreads(3)
        assert np.array_equal(run(frames, p), one)
    finally:
        cv2.setNumThreads(threads)
    for mask, want in zip(foreground_masks(frames, p), one, strict=True):
        cv2.randu(np.empty(7), 0, 1)  # somebody else draws random numbers meanwhile
        assert np.array_equal(mask, want)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [1, 2, 7])
def test_clips_shorter_than_the_initial_frames(method, length):
    frames, _ = walk(length)
    assert run(frames, how(method, initial_frames=1000)).shape == frames.shape
    assert not run(film(place(length)), how(method, initial_frames=1000)).any()


@pytest.mark.parametrize("method", METHODS)
def test_memory_is_flat(method, tmp_path):
    peaks = []
    for length in (300, 1500):
        path = tmp_path / f"{length}.npy"
        shape = (length, 48, 64, 3)
        file = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        file[:] = np.random.default_rng(0).integers(90, 110, shape, np.uint8)
        frames = np.load(path, mmap_mode="r")
        tracemalloc.start()
        for _ in foreground_masks(frames, how(method, shadows=True, close=3)):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[1] < 1500 * 48 * 64 * 3 / 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [0, 1, 19, 20, 21, 40, 50])
def test_masks_come_as_soon_as_the_background_is_learned(method, length):
    """After `history` frames all that wait are due; later that of each frame, for a median of each period."""
    frames, _ = walk(50, color=True)
    p = how(method, history=20, initial_frames=7, shadows=True)
    whole, processor = run(frames, p), foreground(p, FPS)
    masks = []
    for t, item in enumerate(items(frames[:length]), 1):
        masks += processor.process(item)
        assert len(masks) == (0 if t < 20 else t // 20 * 20 if method == "median" else t)
    # of what comes before the end, nothing depends on later frames
    assert all(np.array_equal(got, want) for got, want in zip(masks, whole, strict=False))
    assert len(masks + processor.finish()) == length
    assert processor.lookahead == (19 if method == "median" else 0)


def test_a_median_of_the_last_period_covers_a_full_period():
    """Of 50 frames with a history of 20, the last 10 are compared with the median of the last 20."""
    frames, _ = walk(50)
    p = how("median", history=20, initial_frames=20, learning_rate=0, shadows=False)
    masks = run(frames, p)
    for start, end in ((0, 20), (20, 40), (30, 50)):
        median = np.median(frames[start:end], axis=0).astype(np.float32)
        for t in range(start if end < 50 else 40, end):
            sample = median[::4, ::4]
            light = np.median(frames[t, ::4, ::4][sample >= 8] / sample[sample >= 8])
            want = np.abs(frames[t] - median * light) > p.threshold
            assert np.array_equal(masks[t], clean(want, p.open, p.close, p.min_area)), t


@pytest.mark.parametrize("method", ["mog2", "knn"])
def test_a_skipped_warm_up_has_no_foreground_and_does_not_wait(method):
    frames, truth = walk(length=100, starts=30)
    processor = foreground(how(method, history=50), FPS, skip_warm_up=True)
    masks, kept = [], []
    for t, item in enumerate(items(frames), 1):
        pixels = item.pixels.copy()
        kept.append(weakref.ref(pixels))
        masks += processor.process(item._replace(pixels=pixels))
        assert len(masks) == t
        del pixels
        if t < 50:
            assert sum(pixels() is not None for pixels in kept) <= 30, "initial_frames"
    assert processor.finish() == []
    assert not np.any(masks[:50])
    assert min(iou(masks[t], truth[t]) for t in range(50, 90)) > 0.9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"learning_rate": -0.5}, r"learning_rate = -0.5: should be -1 or from 0 to 1"),
        ({"learning_rate": 2.0}, r"learning_rate = 2.0: "),
        ({"threshold": 0.0}, r"threshold = 0.0: .*greater than 0"),
        ({"method": "gmm"}, r"method = 'gmm': .*'mog2', 'knn' or 'median'"),
        ({"initial_frames": 0}, r"initial_frames = 0: "),
        ({"background_ratio": 1.0}, r"background_ratio = 1.0: "),
        ({"open": -1}, r"open = -1: "),
    ],
)
def test_bad_parameters_are_refused(changes, words):
    raw = {"foreground": how().model_dump() | changes}
    with pytest.raises(UserError, match=words):
        params.load("foreground", ForegroundParams, raw)


def test_most_pixels_change_for_a_panning_camera_and_few_for_a_fixed_camera():
    rng = np.random.default_rng(0)
    wide = cv2.GaussianBlur(rng.normal(0, 1, (120, 400)), (0, 0), 3) * 500 + 128
    wide = np.clip(wide, 0, 255).astype(np.uint8)
    still = np.repeat(wide[None, :, :160], 60, axis=0)
    for t in range(60):
        still[t, 40:80, 2 * t : 2 * t + 20] = 250
    panned = np.stack([wide[:, 3 * t : 3 * t + 160] for t in range(60)])
    shaken = np.stack([wide[:, x : x + 160] for x in rng.integers(0, 12, 60)])
    assert changing_share(still) < 0.15
    assert changing_share(panned) > 0.5
    assert changing_share(shaken) > 0.3
    colour = np.repeat(panned[..., None], 3, axis=3)
    assert changing_share(colour) == pytest.approx(changing_share(panned))


def test_mostly_black_footage_has_no_foreground_where_nothing_happens():
    frames = np.zeros((40, 60, 80), np.uint8)
    frames[:, 20:40, 10:50] = 120
    frames[30:, 25:35, 20:30] = 220
    masks = np.stack(list(foreground_masks(frames, how("median", shadows=False))))
    assert not masks[:30].any()
    assert masks[30:].mean() < 0.05
