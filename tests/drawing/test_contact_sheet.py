"""Contact sheets: regions are drawn at their positions, and counted; the same input gives the same bytes."""

import struct
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vad import UserError
from vad.drawing import contact_sheet, overlays, paper
from vad.drawing.clip_figures import FIGURES
from vad.regions import table as region_table
from vad.store import arrays, cards, tables
from vad.store.body_heights import BodyHeight, BodyHeights
from vad.store.manifest import Clip
from vad.store.zones import Zones

RNG = np.random.default_rng(0)
GRAY = 100  # a gray level that is drawn without rounding
NOBODY = BodyHeights({"": BodyHeight.constant(0.01, 1)})  # people too small to be drawn
Row = tuple[int, int, int, int, int, int, str, float]  # frame, track, x0, y0, x1, y1, source, confidence


def clip(name: str, camera: str = "camera") -> Clip:
    return Clip(name, name.split("/")[0], camera, "", "", 0, 1, True, 1, 10.0, 1, 1, "")


class Stores:
    """The folders of the stages, with files written by the tests; `sheet` draws a contact sheet."""

    def __init__(self, folder: Path):
        self.folder, self.clips, self.heights, self.zones = folder, [], NOBODY, Zones()
        self.frames, self.flow, self.regions = (folder / name for name in ("frames", "flow", "regions"))

    def add(
        self,
        name: str,
        frames: np.ndarray,
        rows: Sequence[Row] | None = None,
        *,
        camera: str = "camera",
        flow: np.ndarray | None = None,
        silhouettes: np.ndarray | None = None,
        fps: float = 10.0,
    ) -> None:
        """Adds a clip; without `rows`, the only region of each frame is the whole frame."""
        arrays.write_array(self.frames / name, frames, fps=fps)
        if flow is None:
            cards.write_json(Path(f"{self.flow / name}.json"), {"method": "none", "hash": "none"})
        else:
            arrays.write_array(self.flow / name, flow, method="dis", scale=0.1)
        card = {}
        if silhouettes is not None:
            size = dict(zip(("height", "width"), silhouettes.shape[1:], strict=True))
            packed = np.packbits(silhouettes, axis=-1)
            arrays.write_array(Path(f"{self.regions / name}.silhouette"), packed, **size)
            card["foreground"] = round(float(silhouettes.mean()), 6)
        if rows is None:
            height, width = frames.shape[1:3]
            rows = [(t, 0, 0, 0, width, height, "frame", 1.0) for t in range(len(frames))]
        table = pd.DataFrame(list(rows), columns=list(region_table.COLUMNS))
        region_table.write(self.regions / name, table, **card)
        self.clips.append(clip(name, camera))

    def write(self, out: str = "out") -> Path:
        folders = self.frames, self.flow, self.regions
        contact_sheet.write(self.folder / out, self.clips, *folders, self.heights, self.zones)
        return self.folder / out

    def sheet(self, split: str = "test") -> np.ndarray:
        """uint8 [H, W, 3] RGB."""
        return read(self.write() / f"{split}.png")

    def figures(self) -> list[dict]:
        return pd.read_csv(self.write() / "clips.csv").to_dict("records")


@pytest.fixture
def stores(tmp_path) -> Stores:
    return Stores(tmp_path)


def read(path: Path) -> np.ndarray:
    picture = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert picture is not None, path
    return picture


def plain(length: int = 8, height: int = 120, width: int = 160) -> np.ndarray:
    return np.full((length, height, width), GRAY, np.uint8)


def cells(sheet: np.ndarray, clips: int = 1, flow: bool = False) -> list[list[np.ndarray]]:
    """The pictures of 320x240 pixels on a sheet: of each clip those of its frames, or those of its flow."""
    below = 20 + (240 + 6 if flow else 0)  # caption, and flow
    whole = 36 + 240 + below
    tops = [len(sheet) - paper.MARGIN - (clips - i) * whole + 36 + (260 if flow else 0) for i in range(clips)]
    lefts = [paper.MARGIN + i * (paper.CELL + paper.GAP) for i in range(paper.COLUMNS)]
    return [[sheet[y : y + 240, x : x + 320] for x in lefts] for y in tops]


def has(sheet: np.ndarray, color: Sequence[int]) -> bool:
    return bool((sheet == np.array(color)).all(axis=2).any())


# --- where things are drawn


BOXES = [(20, 10, 60, 90), (0, 0, 40, 40), (120, 80, 160, 120), (0, 50, 160, 70), (30, 30, 31, 31)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("scale", [2, 0.5])
@pytest.mark.parametrize("color", ["gray", "rgb"])
def test_a_box_is_drawn_where_it_is(stores, box, scale, color):
    """Frames of 160x120 are shown twice as large, those of 640x480 half as large."""
    frames = plain(4, round(240 / scale), round(320 / scale))
    frames = frames if color == "gray" else np.repeat(frames[..., None], 3, axis=3)
    box = tuple(round(side * 2 / scale) for side in box)
    stores.add("test/a", frames, [(t, -1, *box, "detector", 1.0) for t in range(4)])
    x0, y0, x1, y1 = (round(side * scale) for side in box)
    inside = np.zeros((240, 320), bool)
    inside[y0:y1, x0:x1] = True
    deep = 2 if min(x1 - x0, y1 - y0) >= 20 else 1
    ring = inside.copy()
    ring[y0 + deep : y1 - deep, x0 + deep : x1 - deep] = False
    if x1 - x0 < 3:
        ring = np.zeros_like(inside)
        ring[y0 : y0 + 3, x0 : x0 + 3] = True  # what is tiny is made visible
        ring[y0 + 1, x0 + 1] = False
    for cell in cells(stores.sheet())[0]:
        np.testing.assert_array_equal((cell == overlays.PAPER).all(axis=2), ring)
        assert (cell[~ring] == GRAY).all()


def test_boxes_of_motion_are_dashed(stores):
    for source in ("motion", "detector"):
        stores.add(
            f"test/{source == 'detector'}",
            plain(4),
            [(t, -1, 20, 20, 120, 100, source, 1.0) for t in range(4)],
        )
    (motion, *_), (detector, *_) = cells(stores.sheet(), clips=2)
    assert has(motion, overlays.PAPER)
    assert has(motion, overlays.INK)
    assert not has(detector, overlays.INK)


def test_a_track_has_its_color_and_its_past_second(stores):
    """It moves by 8 pixels of the picture per frame, at 5 frames per second."""
    rows = [(t, 3, 4 * t, 40, 4 * t + 20, 80, "motion", 1.0) for t in range(24)]
    stores.add("test/a", plain(24), rows, fps=5.0)
    color = overlays.TRACKS[3]
    for t, cell in zip((3, 9, 15, 21), cells(stores.sheet())[0], strict=True):
        centers = [(8 * s + 20, 120) for s in range(t + 1)]
        on = [np.abs(cell[y - 1 : y + 1, x].astype(int) - color).max(axis=1).min() < 40 for x, y in centers]
        assert on == [s >= t - 5 for s in range(t + 1)]


def test_numbers_and_confidences_are_written_if_there_is_room(stores):
    """A tag that would cover another tag is omitted; the legend explains the tags that occur."""
    stores.add("test/a", plain(4), [(t, 1, 20, 40, 60, 80, "detector", 0.5) for t in range(4)])
    twice = [(t, track, 20, 40, 60, 80, "detector", 0.5) for t in range(4) for track in (1, 2)]
    stores.add("test/b", plain(4), twice)
    (once, *_), (crowded, *_) = cells(stores.sheet(), clips=2)
    tag = (slice(80 - overlays.TAG, 80), slice(40, 80))
    np.testing.assert_array_equal(once[tag], crowded[tag])
    assert has(once[tag], overlays.TRACKS[1])
    assert has(once[160 : 160 + overlays.TAG, 40:80], overlays.TRACKS[1])  # the confidence, below
    assert (once[160 + overlays.TAG :] == GRAY).all()


def test_a_region_that_is_the_whole_frame_is_not_drawn(stores):
    stores.add("test/a", plain(4))
    stores.add("test/b", plain(4), [(t, 0, 0, 0, 160, 120, "motion", 1.0) for t in range(4)])
    sheet = stores.sheet()
    assert all((cell == GRAY).all() for row in cells(sheet, clips=2) for cell in row)
    assert not any(has(sheet, color) for color in (*overlays.TRACKS, overlays.SILHOUETTE))


def test_a_box_as_large_as_the_frame_among_others_is_drawn(stores):
    both = [(t, -1, *box, "detector", 1.0) for t in range(4) for box in ((0, 0, 160, 120), (20, 20, 60, 60))]
    stores.add("test/a", plain(4), both)
    cell = cells(stores.sheet())[0][0]
    assert (cell[:2] == overlays.PAPER).all()
    assert (cell[40, 40:120] == overlays.PAPER).all()


def test_a_silhouette_is_tinted(stores):
    mask = np.zeros((4, 120, 160), bool)
    mask[:, 30:60, 50:90] = True
    stores.add("test/a", plain(4), [], silhouettes=mask)
    for cell in cells(stores.sheet())[0]:
        changed = (cell != GRAY).any(axis=2)
        expected = np.repeat(np.repeat(mask[0], 2, axis=0), 2, axis=1)
        assert (changed != expected).sum() <= 4 * 4  # corners are rounded
        assert (np.abs(cell[70:110, 110:170].astype(int) - (147, 109, 130)) < 16).all()
    assert stores.figures()[0]["foreground"] == pytest.approx(mask.mean(), abs=1e-6)


def test_silhouettes_that_do_not_fit_their_frames_are_refused(stores):
    stores.add("test/a", plain(4), silhouettes=np.zeros((4, 60, 80), bool))
    with pytest.raises(UserError, match=r"a\.silhouette\.npy: .*\(4, 60, 80\).*\(4, 120, 160\).*dvc repro"):
        stores.write()


@pytest.mark.parametrize("shape", [(120, 160), (30, 40)])
def test_flow_is_colored_by_direction_and_speed(stores, shape):
    """4 pixels per frame: right in the left half of the frame, down in the right half."""
    flow = np.zeros((4, *shape, 2), np.int8)
    flow[:, :, : shape[1] // 2, 0] = 40
    flow[:, :, shape[1] // 2 :, 1] = 40
    stores.add("test/a", plain(4), [], flow=flow)
    for cell in cells(stores.sheet(), flow=True)[0]:
        cell = cell.astype(int)
        # 0.8 of full colour, which is 5 px per frame
        assert (np.abs(cell[10:230, 10:140] - (255, 51, 51)) < 32).all()
        assert (np.abs(cell[10:230, 180:310] - (153, 255, 51)) < 32).all()


def test_still_flow_is_white(stores):
    stores.add("test/a", plain(4), [], flow=np.zeros((4, 12, 16, 2), np.int8))
    for cell in cells(stores.sheet(), flow=True)[0]:
        assert (cell[1:-1, 1:-1] == 255).all()


# --- people of the body height


def figures_of(cell: np.ndarray) -> list[tuple[int, int, int]]:
    """Top, row below the feet and middle column of each figure on a plain picture, from far to near."""
    changed = (cell != GRAY).any(axis=2).astype(np.uint8)
    number, _, stats, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
    boxes = stats[1:number, :4].tolist()
    return sorted((y, y + height, x + width // 2) for x, y, width, height in boxes)


@pytest.mark.parametrize("scale", [2, 0.5])
def test_people_are_as_tall_as_expected_at_their_rows(stores, scale):
    """Five in the first picture at even distances of rows; without regions, in its lower half."""
    rows, columns = round(240 / scale), round(320 / scale)
    stores.heights = BodyHeights({"": BodyHeight(10 / scale, 90 / scale, 1, rows)})
    stores.add("test/a", plain(4, rows, columns), [])
    first, *others = cells(stores.sheet())[0]
    figures = figures_of(first)
    assert len(figures) == 5
    for (top, bottom, _), feet in zip(figures, np.linspace(120, 240, 5), strict=True):
        assert abs(bottom - feet) <= 2
        assert abs(bottom - top - (10 + 80 * feet / 240)) <= 3
    assert np.ptp([middle for *_, middle in figures]) > 200
    assert all((cell == GRAY).all() for cell in others)


def test_people_stand_at_the_rows_and_beside_the_boxes_of_regions(stores):
    boxes = [(4 * i, 70 + i // 2, 4 * i + 60, 91 + i // 2) for i in range(5)]
    stores.add("test/a", plain(4), [(t, -1, *box, "detector", 1.0) for t in range(4) for box in boxes])
    without = stores.sheet()
    stores.heights = BodyHeights({"": BodyHeight.constant(15, 120)})
    first, second = cells(without)[0][:2]
    drawn, same = cells(stores.sheet())[0][:2]
    np.testing.assert_array_equal(second, same)
    y, x = np.nonzero((drawn != first).any(axis=2))
    assert abs(y.min() - (182 - 30)) <= 3
    assert abs(y.max() - 186) <= 3
    assert x.min() > 2 * 76


def test_people_that_do_not_fit_into_the_picture_are_cut_off(stores):
    stores.heights = BodyHeights({"": BodyHeight.constant(500, 120)})
    stores.add("test/a", plain(4), [])
    stores.add("test/b", plain(1, 3, 400), [(0, 0, 0, 0, 2, 2, "motion", 1.0)])
    assert stores.sheet().shape[1] == paper.WIDTH


def test_the_legend_explains_people_that_are_drawn(stores):
    stores.add("test/a", plain(4), [])
    sheets = []
    for height in (2.0, 3.0):  # on the sheet 4 and 6 pixels
        stores.heights = BodyHeights({"": BodyHeight.constant(height, 120)})
        sheets.append(stores.sheet())
    assert len(sheets[0]) < len(sheets[1])  # a line of the legend


# --- sheets of all kinds


SIZES = {
    "wide": (432, 768),
    "ped2": (240, 360),
    "sample": (132, 176),
    "portrait": (400, 120),
    "strip": (8, 640),
}


def test_frames_of_any_size_keep_their_aspect(stores):
    for i, (name, (height, width)) in enumerate(SIZES.items()):
        frames = plain(5, height, width)
        frames = np.repeat(frames[..., None], 3, axis=3) if i % 2 else frames
        stores.add(f"train/{name}", frames, [])
    sheet = stores.sheet("train")
    assert sheet.shape[1] == paper.WIDTH
    ground = np.pad((sheet == GRAY).all(axis=2), 1)
    y = 1 + len(sheet) - paper.MARGIN
    for height, width in (SIZES[name] for name in sorted(SIZES, reverse=True)):
        h, w = round(320 * height / max(height, width)), round(320 * width / max(height, width))
        y -= 20 + h
        for i in range(paper.COLUMNS):
            x = 1 + paper.MARGIN + i * (paper.CELL + paper.GAP)
            assert ground[y : y + h, x : x + w].all()
            around = ground[y - 1 : y + h + 1, x - 1 : x + w + 1]
            assert around.sum() == h * w
        y -= 36


def mixed(stores: Stores) -> Stores:
    """Clips of all kinds, in train and test."""
    for i, (name, (height, width)) in enumerate(SIZES.items()):
        shape = (6, height, width) if i % 2 else (6, height, width, 3)
        frames = np.stack([cv2.blur(f, (25, 25)) for f in RNG.integers(0, 256, shape).astype(np.uint8)])
        rows = random_rows(6, height, width, 40)
        flow = RNG.integers(-40, 40, (6, 6, 8, 2)).astype(np.int8) if i % 3 else None
        masks = RNG.random((6, height, width)) > 0.9 if i % 2 else None
        for split in ("train", "test"):
            stores.add(
                f"{split}/{name}", frames.reshape(shape), rows, flow=flow, silhouettes=masks, camera=name
            )
    return stores


def random_rows(length: int, height: int, width: int, count: int) -> list[Row]:
    frame = np.sort(RNG.integers(0, length, count))
    x0, y0 = RNG.integers(0, width - 1, count), RNG.integers(0, height - 1, count)
    x1, y1 = RNG.integers(x0 + 1, width + 1), RNG.integers(y0 + 1, height + 1)
    track, source = RNG.integers(-1, 6, count), RNG.choice(["motion", "detector"], count)
    columns = (frame, track, x0, y0, x1, y1, source, RNG.random(count).round(3))
    return [tuple(value.item() for value in row) for row in zip(*columns, strict=True)]


def test_same_input_same_bytes_and_no_metadata(stores):
    mixed(stores)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        first = stores.write("first")
        cv2.setNumThreads(4)
        stores.clips.reverse()
        second = stores.write("second")
    finally:
        cv2.setNumThreads(threads)
    names = ["clips.csv", "test.png", "train.png", "val.png"]
    assert sorted(p.name for p in first.iterdir()) == names
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    for name in names[1:]:
        assert set(chunks(first / name)) == {"IHDR", "PLTE", "IDAT", "IEND"}


def chunks(path: Path) -> list[str]:
    """The kinds of chunks of a PNG."""
    data, kinds, at = path.read_bytes(), [], 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kinds.append(data[at + 4 : at + 8].decode())
        at += 12 + length
    return kinds


def test_every_split_has_a_picture_also_without_clips(stores):
    out = stores.write()
    for split in ("train", "val", "test"):
        assert read(out / f"{split}.png").shape == (64, paper.WIDTH, 3)
        assert not (read(out / f"{split}.png") == 255).all()  # it says so
    assert (out / "train.png").read_bytes() != (out / "val.png").read_bytes()
    assert (out / "clips.csv").read_text() == ",".join(FIGURES) + "\n"
    stores.add("val/a", plain(2))
    assert len(stores.sheet("val")) > 64
    assert len(stores.sheet("train")) == 64


def test_clips_without_regions_can_be_drawn(stores):
    stores.add("train/a", plain(7), [])
    assert all((cell == GRAY).all() for cell in cells(stores.sheet("train"))[0])
    row = stores.figures()[0]
    assert (row["regions"], row["regions_per_frame"], row["frames_without_regions"]) == (0, 0, 7)
    assert np.isnan([row["median_width"], row["median_height"], row["foreground"]]).all()


@pytest.mark.parametrize("length", [1, 2, 3])
def test_clips_of_few_frames_can_be_drawn(stores, length):
    stores.add("train/a", plain(length), [])
    there = [(cell == GRAY).all() for cell in cells(stores.sheet("train"))[0]]
    assert there == [i < length for i in range(4)]


@pytest.mark.parametrize("name", ["n" * 200, "prévôt_жук_λ_中文_אבג", "WIDE" * 40, "_"])
def test_clips_with_long_and_unusual_names_can_be_drawn(stores, name):
    stores.add(f"test/{name}", plain(4), camera=name)
    sheet = stores.sheet()
    assert sheet.shape[1] == paper.WIDTH
    assert (sheet[:, -paper.MARGIN :] == 255).all()  # no text extends beyond the page
    assert stores.figures()[0]["clip"] == f"test/{name}"


def test_thousands_of_boxes_can_be_drawn(stores):
    stores.add("test/a", plain(4, 240, 360), random_rows(4, 240, 360, 2000))
    assert stores.sheet().shape[1] == paper.WIDTH
    assert stores.figures()[0]["regions"] == 2000


def test_a_sheet_of_noise_stays_small(stores):
    """DVC embeds the pictures in a page. Noise compresses worst, so its sheet has fewer rows."""
    for i in range(3):
        noise = RNG.normal(128, 40, (4, 240, 320, 3)).clip(0, 255).astype(np.uint8)
        stores.add(f"test/{i}", noise, random_rows(4, 240, 320, 40))
    picture = stores.write() / "test.png"
    assert picture.stat().st_size <= paper.BYTES
    assert 1 <= (len(read(picture)) - 100) // (36 + 240 + 20) < 3


def test_only_the_frames_that_are_drawn_are_read(stores):
    stores.add("test/a", plain(4, 240, 360), [])
    path = Path(f"{stores.frames / 'test/a'}.npy")
    np.lib.format.open_memmap(path, "w+", np.uint8, (5000, 240, 360)).flush()  # 430 MB of holes
    card = cards.read_card(stores.frames / "test/a") | {"shape": [5000, 240, 360]}
    cards.write_json(path.with_suffix(".json"), card)
    tracemalloc.start()
    try:
        stores.write()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40e6


@pytest.mark.parametrize("kind", ["frames", "flow", "regions"])
def test_a_missing_file_is_named(stores, kind):
    stores.add("test/a", plain(4))
    Path(f"{getattr(stores, kind) / 'test/a'}.json").unlink()
    with pytest.raises(UserError, match=rf"{kind}/test/a\.json"):
        stores.write()


# --- which clips and frames


NAMES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), min_size=1, max_size=30, unique=True)


@given(names=NAMES, count=st.integers(1, 6))
def test_cameras_have_equal_shares_of_the_sheet(names, count):
    clips = [clip(f"test/{camera}{n}", camera) for camera, n in names]
    chosen = contact_sheet.choose(clips, count)
    assert len(set(chosen)) == len(chosen) == min(count, len(clips))
    assert contact_sheet.choose(clips[::-1], count) == chosen
    assert contact_sheet.choose(clips, count - 1) == chosen[: count - 1]
    shares, there = Counter(c.camera for c in chosen), Counter(c.camera for c in clips)
    for camera in there:  # a camera has at least max - 1 clips on the sheet, or all its clips
        assert shares[camera] >= max(shares.values()) - 1 or shares[camera] == there[camera]
    without_last = contact_sheet.choose(clips[:-1], count)
    assert len(set(without_last) - set(chosen)) <= 1


@given(length=st.integers(1, 60), with_regions=st.sets(st.integers(0, 59)))
def test_frames_are_spread_and_have_regions_if_possible(length, with_regions):
    with_regions = sorted(t for t in with_regions if t < length)
    picked = contact_sheet.pick_frames(np.array(with_regions, int), length)
    parts = [range(length * i // 4, length * (i + 1) // 4) for i in range(4)]
    expected = []
    for part in parts:
        if part:
            middle = (part.start + part.stop) // 2
            expected.append(
                min(
                    (t for t in with_regions if t in part), key=lambda t: (abs(t - middle), t), default=middle
                )
            )
    assert picked == expected


# --- figures


def test_figures_of_clips_equal_counts_by_hand(stores):
    mixed(stores)
    stores.add("val/empty", plain(3), [])
    stores.add("val/whole", plain(3))
    written = stores.figures()
    assert [row["clip"] for row in written] == sorted(c.clip for c in stores.clips)
    for row in written:
        name = row["clip"]
        length = cards.read_card(stores.frames / name)["shape"][0]
        rows = list(tables.read_table(stores.regions / name).itertuples())
        widths, heights = sorted(r.x1 - r.x0 for r in rows), sorted(r.y1 - r.y0 for r in rows)
        expected = {
            "clip": name,
            "split": name.split("/")[0],
            "camera": next(c.camera for c in stores.clips if c.clip == name),
            "frames": length,
            "regions": len(rows),
            "regions_per_frame": len(rows) / length,
            "frames_without_regions": sum(all(r.frame != t for r in rows) for t in range(length)),
            "tracks": len({r.track for r in rows if r.track != -1}),
            "motion": sum(r.source == "motion" for r in rows),
            "detector": sum(r.source == "detector" for r in rows),
            "foreground": cards.read_card(stores.regions / name).get("foreground", np.nan),
            "median_width": median(widths),
            "median_height": median(heights),
        }
        assert row == pytest.approx(expected, abs=1e-6, nan_ok=True)


def median(values: list[int]) -> float:
    n = len(values)
    return (values[(n - 1) // 2] + values[n // 2]) / 2 if n else np.nan
