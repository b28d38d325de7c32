"""Pictures as people have them: formats, types, orientations, names; with Pillow as the reference."""

import io
import json
import shlex
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from tests.footage.test_bad_footage import refused
from tests.footage.videos import extracted, number, numbered, texture, write_picture, write_pictures
from vad import UserError
from vad.footage import masks
from vad.footage.decode import decode, frames
from vad.footage.extract import extract
from vad.footage.extract_params import ExtractParams
from vad.footage.picture_headers import read_header
from vad.footage.pictures import PICTURES, PictureFormat, list_pictures, read_picture
from vad.footage.probe import Info, probe
from vad.footage.probe_cache import probe_all
from vad.store import arrays, bitmasks, tables

GRAY = Image.fromarray(texture())
RGB = Image.fromarray(np.dstack([texture(), 255 - texture(), texture() // 2]))
VEIL = Image.fromarray(255 - texture())  # as transparency
SEVERAL = "several series of pictures"
MISSING = "missing numbers of pictures"


def with_alpha(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(VEIL)
    return picture


def difference(a: np.ndarray, b: np.ndarray | Image.Image) -> int:
    b = np.asarray(b)
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b).max())


def kinds(source: Path) -> list[str]:
    return [note.kind for note in probe(source).notes]


# --- formats and types

PILLOW_NAMES = {".jfif": "JPEG", ".jpe": "JPEG", ".j2k": "JPEG2000", ".pnm": "PPM", ".pbm": "PPM"}


@pytest.mark.parametrize("suffix", sorted(PICTURES))
def test_every_suffix_is_a_format_that_is_read(tmp_path, suffix):
    lossy = {"quality": 100} if suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".avif", ".webp") else {}
    for i, picture in enumerate(numbered(4)):
        gray = Image.fromarray(picture)
        stored = gray.point(lambda v: 255 * (v > 120), "1") if suffix == ".pbm" else gray
        stored.save(tmp_path / f"{i}{suffix}", PILLOW_NAMES.get(suffix), **lossy)
    assert probe(tmp_path) == Info(4, 25.0, 48, 32)
    array, *_ = extracted(tmp_path, tmp_path)
    assert [number(f) for f in array] == [0, 1, 2, 3]
    if suffix != ".pbm":
        assert difference(array[3], numbered(4)[3]) <= 4


def plain_map(values: np.ndarray, maximum: int, kind: str) -> bytes:
    height, width = values.shape[:2]
    head = f"{kind} # made by a test\n{width} {height}\n# values\n{maximum}\n".encode()
    if kind in ("P2", "P3"):
        return head + "\n".join(" ".join(map(str, row)) for row in values.reshape(height, -1)).encode()
    return head + values.astype(">u2" if maximum > 255 else np.uint8).tobytes()


@pytest.mark.parametrize("maximum", [1, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_values_of_portable_maps_count_up_to_their_maximum(tmp_path, kind, maximum):
    values = np.rint(texture() / 255 * maximum).astype(int)
    colours = np.dstack([values] * 3) if kind in ("P3", "P6") else values
    for i in range(2):
        (tmp_path / f"{i}.pnm").write_bytes(plain_map(colours, maximum, kind))
    for bits in (None, 16 if maximum == 65535 else 12):
        assert probe(tmp_path, PictureFormat(bits=bits)) == Info(2, 25.0, 64, 48)
        expected = np.rint(values / maximum * 255)
        assert difference(read_picture(tmp_path / "0.pnm", "gray", bits), expected) <= 1
        assert difference(read_picture(tmp_path / "0.pnm", "rgb", bits), np.dstack([expected] * 3)) <= 1


TYPES: dict[str, tuple[Image.Image, str, dict]] = {
    **{f"{f} gray": (GRAY, f, {}) for f in ("PNG", "TIFF", "BMP", "PPM", "JPEG2000")},
    **{f"{f} colour": (RGB, f, {}) for f in ("PNG", "TIFF", "BMP", "PPM", "JPEG2000")},
    **{f"{f} one bit": (GRAY.convert("1"), f, {}) for f in ("PNG", "TIFF", "BMP", "PPM")},
    **{f"{f} palette": (RGB.quantize(64), f, {}) for f in ("PNG", "TIFF", "BMP")},
    **{f"{f} gray, alpha": (with_alpha(GRAY), f, {}) for f in ("PNG", "TIFF", "JPEG2000")},
    **{f"{f} colour, alpha": (with_alpha(RGB), f, {}) for f in ("PNG", "TIFF", "BMP", "JPEG2000")},
    "WEBP colour, alpha": (with_alpha(RGB), "WEBP", {"lossless": True, "exact": True}),
    "TIFF lzw alpha": (with_alpha(RGB), "TIFF", {"compression": "tiff_lzw"}),
    "TIFF CMYK": (RGB.convert("CMYK"), "TIFF", {}),
    "TIFF YCbCr": (RGB.convert("YCbCr"), "TIFF", {}),
    "TIFF fax": (GRAY.convert("1"), "TIFF", {"compression": "group4"}),
    "JPEG CMYK": (RGB.convert("CMYK"), "JPEG", {"quality": 100}),
    "JPEG2000 CMYK": (RGB.convert("CMYK"), "JPEG2000", {}),
    "JPEG2000 YCbCr": (RGB.convert("YCbCr"), "JPEG2000", {}),
}


@pytest.mark.parametrize("name", TYPES)
def test_types_of_pictures_are_read_as_pillow_reads_them(tmp_path, name):
    picture, form, options = TYPES[name]
    path = tmp_path / ("a.jp2" if form == "JPEG2000" else f"a.{form.lower()[:4]}")
    picture.save(path, form, **options)
    with Image.open(path) as stored:
        assert difference(read_picture(path, "rgb"), stored.convert("RGB")) <= 2
        assert difference(read_picture(path, "gray"), stored.convert("RGB").convert("L")) <= 2
        assert read_header(path)[:2] == stored.size == (64, 48)


def white_is_zero() -> bytes:
    tags, file = ImageFileDirectory_v2(), io.BytesIO()
    tags[262] = 0
    GRAY.save(file, "TIFF", tiffinfo=tags)
    return file.getvalue()


def test_a_tiff_whose_zero_is_white(tmp_path):
    (tmp_path / "a.tif").write_bytes(white_is_zero())
    with Image.open(tmp_path / "a.tif") as stored:
        assert difference(read_picture(tmp_path / "a.tif", "gray"), stored) == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (texture().astype(np.float32) / 255, ["32-bit", "floating"]),
        (texture() / 255, ["64-bit", "floating"]),
        (np.dstack([texture()] * 3).astype(np.float32), ["32-bit", "floating"]),
        (texture().astype(np.int32), ["32-bit", "integers"]),
        (texture().astype(np.int16), ["16-bit", "signed"]),
    ],
)
def test_numbers_without_a_known_white_are_refused_by_type(tmp_path, values, words):
    write_pictures(tmp_path / "walk", numbered(3, (48, 64)), ".tif")
    write_picture(tmp_path / "walk/001.tif", values)
    refused(lambda: probe(tmp_path / "walk"), "walk/001.tif", *words, "8 or 16 bits")


def tiff(bits: int, values: bytes) -> bytes:
    """A gray TIFF of 64x48 pixels without compression, whose values are packed."""
    tags = [
        (256, 64),
        (257, 48),
        (258, bits),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, 48),
        (279, len(values)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<4sI", b"II*\0", 8 + len(values)) + values + struct.pack("<H", 9) + entries + bytes(4)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_packed_tiff_of_few_bits(tmp_path, bits):
    levels = texture() >> (8 - bits)
    shifts = np.arange(8 - bits, -1, -bits)
    packed = (levels.reshape(48, -1, len(shifts)) << shifts).sum(-1).astype(np.uint8)
    (tmp_path / "a.tif").write_bytes(tiff(bits, packed.tobytes()))
    assert read_header(tmp_path / "a.tif")[:2] == (64, 48)
    expected = np.rint(levels / (2**bits - 1) * 255)
    assert difference(read_picture(tmp_path / "a.tif", "gray"), expected) <= 1
    assert difference(read_picture(tmp_path / "a.tif", "rgb"), np.dstack([expected] * 3)) <= 1


@pytest.mark.parametrize(("bits", "says"), [(12, "12-bit"), (32, "32-bit integers")])
def test_other_numbers_of_bits_are_refused_when_probed(tmp_path, bits, says):
    for i in range(2):
        (tmp_path / f"{i}.tif").write_bytes(tiff(bits, bytes(64 * 48 * bits // 8)))
    refused(lambda: probe(tmp_path), "0.tif", says)


@pytest.mark.parametrize("big", [False, True])
def test_transparent_colours_of_tiff_keep_their_brightness(tmp_path, big):
    with_alpha(RGB).save(tmp_path / "a.tif", big_tiff=big)
    assert difference(read_picture(tmp_path / "a.tif", "rgb"), RGB) == 0


def test_lab_is_refused_by_type(tmp_path):
    for i in range(2):
        RGB.convert("LAB").save(tmp_path / f"{i}.tif")
    refused(lambda: probe(tmp_path), "0.tif", "LAB")


# --- bits


def deep(path: Path, values: np.ndarray) -> None:
    write_picture(path, values.astype(np.uint16))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_pictures_with_fewer_than_16_bits_need_data_bits(tmp_path, suffix, bits):
    values = texture().astype(int) << (bits - 8)
    for i in range(12):
        deep(tmp_path / f"{i:03}{suffix}", values)
    refused(lambda: probe(tmp_path), tmp_path, f"{values.max()} of 65535", "data.bits", f"{bits} or more")
    assert probe(tmp_path, PictureFormat(10.0, bits)) == Info(12, 10.0, 64, 48)
    assert difference(read_picture(tmp_path / f"000{suffix}", "gray", bits), texture()) == 0
    assert difference(read_picture(tmp_path / f"000{suffix}", "rgb", bits), np.dstack([texture()] * 3)) == 0
    # a dark scene in all 16 bits can be said to be one
    assert probe(tmp_path, PictureFormat(bits=16)).frames == 12
    assert difference(read_picture(tmp_path / f"000{suffix}", "gray", 16), values >> 8) == 0


@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
def test_colours_with_12_bits(tmp_path, suffix):
    colours = np.asarray(RGB).astype(np.uint16) * 16
    for i in range(2):
        deep(tmp_path / f"{i}{suffix}", colours)
    refused(lambda: probe(tmp_path), "data.bits", "12 or more")
    assert difference(read_picture(tmp_path / f"0{suffix}", "rgb", 12), RGB) == 0
    assert difference(read_picture(tmp_path / f"0{suffix}", "gray", 12), RGB.convert("L")) <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_sixteen_bits_are_read_as_before(tmp_path, suffix):
    values = texture().astype(np.uint16) * 257
    for i in range(20):  # a single bright picture in the middle shows that all 16 bits count
        Image.fromarray(values if i == 10 else values // 8).save(tmp_path / f"{i}{suffix}")
    assert probe(tmp_path) == Info(20, 25.0, 64, 48)
    before = cv2.imread(str(tmp_path / f"10{suffix}"), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(read_picture(tmp_path / f"10{suffix}", "gray"), before)
    assert difference(before, texture()) <= 1


def test_values_above_data_bits_become_white_and_are_noted(tmp_path):
    values = texture().astype(int) * 20
    for i in range(3):
        deep(tmp_path / f"{i}.png", values)
    [note] = probe(tmp_path, PictureFormat(bits=12)).notes
    assert "become white" in note.kind
    assert "5100" in note.detail
    expected = np.minimum(values, 4095) >> 4
    np.testing.assert_array_equal(read_picture(tmp_path / "0.png", "gray", 12), expected)


def test_data_bits_leave_other_pictures_alone(tmp_path):
    write_picture(tmp_path / "a.png", texture())
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png", "gray", 12), texture())
    for i in range(2):
        deep(tmp_path / f"black{i}.png", np.zeros((48, 64)))
    (tmp_path / "a.png").unlink()
    assert probe(tmp_path).notes == ()  # black whatever the bits


# --- the frame rate


def test_the_frame_rate_of_pictures_is_the_one_given(tmp_path):
    folder = write_pictures(tmp_path / "walk", numbered(6))
    how = PictureFormat(fps=10.0)
    assert probe(folder, how).fps == 10.0
    rate, decoded = decode(folder, "gray", 1, 0, None, how)
    assert (rate, [d.seconds for d in decoded]) == (10.0, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert [f.number for f in frames(folder, "gray", fps=5.0, pictures=how)] == [0, 2, 4]
    extract(tmp_path / "out", folder, 1, 6, ExtractParams(), how, threads=1)
    assert arrays.open_array(tmp_path / "out")[1]["fps"] == 10.0
    assert tables.read_table(tmp_path / "out").seconds.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


def test_remembered_results_are_those_of_the_same_format(tmp_path):
    folder = write_pictures(tmp_path / "walk", numbered(3))
    write_pictures(tmp_path / "deep", [p.astype(np.uint16) * 16 for p in numbered(3)])
    memory, lines = tmp_path / "memory.json", []

    def results(**how):
        sources = [folder, tmp_path / "deep"]
        footage, faults = probe_all(sources, memory, PictureFormat(**how), 1, lines.append)
        return {path.name: f.info.fps for path, f in footage.items()}, len(faults)

    assert results(bits=12) == ({"walk": 25.0, "deep": 25.0}, 0)
    assert results(bits=12, fps=10.0) == ({"walk": 10.0, "deep": 10.0}, 0)
    assert results(fps=10.0) == ({"walk": 10.0}, 1)
    assert results(fps=10.0) == ({"walk": 10.0}, 1)
    assert [line.split(", ")[1] for line in lines] == [f"{n} of them to be read" for n in (2, 2, 2, 1)]
    assert json.loads(memory.read_text())


# --- orientation


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("picture", [GRAY, RGB], ids=["gray", "colour"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_pictures_are_set_upright(tmp_path, suffix, picture, value):
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    exif = Image.Exif()
    exif[0x0112] = value
    path, file = tmp_path / f"0{suffix}", io.BytesIO()
    picture.save(path, exif=exif, **options)
    file.write(path.read_bytes())
    expected = ImageOps.exif_transpose(
        Image.open(file)
    )  # from memory: of mapped files, Pillow turns some twice
    assert read_header(path)[:2] == expected.size
    assert difference(read_picture(path, "rgb"), expected.convert("RGB")) <= 4
    assert difference(read_picture(path, "gray"), expected.convert("L")) <= 4


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_deep_pictures_and_masks_are_set_upright_alike(tmp_path, suffix, value):
    exif = Image.Exif()
    exif[0x0112] = value
    truth = np.zeros((48, 64), np.uint16)
    truth[3:20, 5:60] = 7  # the number of an object
    for i in range(2):
        Image.fromarray(truth).save(tmp_path / f"{i}{suffix}", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO((tmp_path / f"0{suffix}").read_bytes())))
    width, height = read_header(tmp_path / f"0{suffix}")[:2]
    assert (width, height) == upright.size
    assert difference(read_picture(tmp_path / f"0{suffix}", "gray", 8), upright) == 0
    masks.convert(tmp_path / "packed", tmp_path, 2, width, height)
    np.testing.assert_array_equal(bitmasks.open_masks(tmp_path / "packed")[0], np.asarray(upright) != 0)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.webp", lambda path, mask: Image.fromarray(mask * 200).save(path, quality=60)),
        ("a.webp", lambda path, mask: Image.fromarray(mask).save(path, lossless=True)),
        ("a.jpe", lambda path, mask: Image.fromarray(mask * 255).save(path, "JPEG", quality=60)),
        ("a.avif", lambda path, mask: Image.fromarray(mask * 255).save(path, quality=60)),
        ("a.pgm", lambda path, mask: path.write_bytes(plain_map(mask, 300, "P5"))),
        ("a.pgm", lambda path, mask: path.write_bytes(plain_map(mask, 1, "P2"))),
        ("a.tif", lambda path, mask: write_picture(path, mask.astype(np.int32))),
        ("a.tif", lambda path, mask: write_picture(path, mask.astype(np.float32) / 100)),
        ("a.tif", lambda path, mask: with_alpha(Image.fromarray(mask).convert("RGB")).save(path)),
        ("a.png", lambda path, mask: Image.fromarray(mask * 255).quantize(2).save(path)),
    ],
)
def test_masks_of_more_formats(tmp_path, name, save):
    mask = np.zeros((48, 64), np.uint8)
    mask[8:40, 16:48] = 1
    save(tmp_path / name, mask)
    masks.convert(tmp_path / "packed", tmp_path, 1, 64, 48)
    np.testing.assert_array_equal(bitmasks.open_masks(tmp_path / "packed")[0], mask)


# --- several pictures in a file


@pytest.mark.parametrize("suffix", [".tif", ".png", ".webp", ".avif"])
def test_files_of_several_pictures_are_refused_with_a_way_to_split_them(tmp_path, suffix):
    folder, pages = tmp_path / "it's a walk", [Image.fromarray(p) for p in numbered(12)]
    folder.mkdir()
    pages[0].save(folder / f"1{suffix}", save_all=True, append_images=pages[1:6])
    pages[6].save(folder / f"2{suffix}", save_all=True, append_images=pages[7:])
    refused(lambda: probe(folder), f"1{suffix}", "holds 6 pictures", "split it")
    with pytest.raises(UserError) as caught:
        probe(folder)
    command = str(caught.value).partition("remove it: ")[2]
    assert command.startswith("python -c ")
    for i in (1, 2):
        words = shlex.split(command.replace(f"1{suffix}", f"{i}{suffix}"))
        subprocess.run([sys.executable, *words[1:]], check=True)
        (folder / f"{i}{suffix}").unlink()
    assert probe(folder).frames == 12
    assert [number(f.pixels) for f in frames(folder, "gray")] == list(range(12))


def test_a_thumbnail_or_a_preview_is_no_further_picture(tmp_path):
    for i in range(2):
        thumbnail = GRAY.resize((16, 12))
        GRAY.save(tmp_path / f"{i}.tif", save_all=True, append_images=[thumbnail])
        GRAY.save(tmp_path / f"{i + 2}.jpg", "MPO", save_all=True, append_images=[thumbnail])
    assert probe(tmp_path) == Info(4, 25.0, 64, 48)


# --- names


def make(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        write_picture(folder / name, numbered(1)[0])
    return folder


@pytest.mark.parametrize(
    ("frame", "other"),
    [
        ("001.png", "001_mask.png"),
        ("001.jpg", "001_gt.png"),
        ("frame_001.png", "mask_001.png"),
        ("frame1.png", "mask0001.png"),
        ("001.jpg", "001.png"),
        ("001.PNG", "001.webp"),
        ("walk-001.png", "walk-001-mask-2.png"),
        ("img001.png", "imgMask001.png"),
        ("rgb_001.png", "depth_001.png"),
        ("12_001_frame.png", "12_001_label.png"),
    ],
)
def test_frames_beside_their_masks_are_refused(tmp_path, frame, other):
    make(tmp_path / "walk", *(name.replace("1", str(i), 1) for i in (3, 4, 5) for name in (frame, other)))
    first, second = (name.replace("1", "3", 1) for name in (frame, other))
    refused(lambda: probe(tmp_path / "walk"), f"walk/{first}", second, "masks in a folder of their own")


@pytest.mark.parametrize(
    "names",
    [
        [f"{who}_{i:03}.png" for who in ("fall", "sit") for i in range(1, 5)],
        [f"cam{c}_{i:03}.png" for c in (1, 2) for i in range(1, 5)],
        [f"mask_{i}.png" for i in range(4)],
        [f"masked_{i}.png" for i in range(4)] + [f"unmasked_{i}.png" for i in range(4)],
        [f"frame_{i:03}_png.rf.{i * 7919 % 65536:04x}ab.png" for i in range(8)],
        ["001.png", "002.jpg", "003.webp"],
        ["1.png", "1b.png", "2.png"],
    ],
)
def test_other_folders_are_accepted(tmp_path, names):
    assert probe(make(tmp_path / "walk", *names)).frames == len(names)


def test_several_series_are_read_one_after_the_other_and_noted(tmp_path):
    names = [f"{who}_{i:03}.png" for who in ("fall", "sit") for i in range(1, 4)]
    make(tmp_path / "walk", *reversed(names))
    assert [path.name for path in list_pictures(tmp_path / "walk")] == names
    [note] = probe(tmp_path / "walk").notes
    assert note.kind.startswith(SEVERAL)
    assert "fall_001.png" in note.detail
    assert "sit_001.png" in note.detail


@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20, unique=True), st.integers(1, 6))
def test_decimal_names_are_in_the_order_of_numbers(tmp_path_factory, numbers, digits):
    """Numbers as Python and C++ write them, with as many digits as needed."""
    folder = tmp_path_factory.mktemp("decimals")
    values = sorted({1 + n / 10**digits for n in numbers})  # from 1 on, without exponents
    names = [f"t_{v!r}.png" for v in values] if digits > 4 else [f"{v:.15g}.png" for v in values]
    for name in names:
        (folder / name).touch()
    assert [path.name for path in list_pictures(folder)] == names


@pytest.mark.parametrize(
    "names",
    [
        [f"{1633024800 + i * 0.05}.png" for i in range(12)],
        [f"clip1.{i}.png" for i in range(1, 13)],
        [f"clip{c}.{i}.png" for c in (1, 2, 10) for i in (8, 9, 10, 11)],
        [f"{i * 0.05:.2f}.png" for i in range(30)],
        ["12-30-05.png", "12-30-05.5.png", "12-30-06.png", "12-30-06.5.png", "12-31-00.png"],
        ["12-30-05.25.png", "12-30-05.5.png", "12-30-05.75.png", "12-30-06.png", "12-30-10.png"],
        ["2024-01-02T12:30:05.png", "2024-01-02T12:30:05.500000.png", "2024-01-02T12:30:06.png"],
        ["5.png", "5.5.png", "10.png", "10.25.png"],
        ["1.5s.png", "1.25s.png", "1.75s.png"],
        [f"192.168.1.10_{i}.png" for i in range(8, 12)],
        [f"v1.{m}.{i}.png" for m in (2, 10) for i in (9, 10)],
        [f"frame{i}.jp2" for i in (2, 10)],
    ],
    ids=lambda names: names[0],
)
def test_order_of_names(tmp_path, names):
    expected = sorted(names, key=lambda n: float(n[:-5])) if names[0].endswith("s.png") else names
    for name in reversed(expected):
        (tmp_path / name).touch()
    assert [path.name for path in list_pictures(tmp_path)] == expected


def numbers_without(*missing: int, step: int = 1, width: int = 3, stem: str = "") -> list[str]:
    return [f"{stem}{i:0{width}}.png" for i in range(0, 60, step) if i not in missing]


@pytest.mark.parametrize(
    ("names", "detail"),
    [
        (numbers_without(50), "1 missing, the first after 049.png"),
        (numbers_without(30, 31, 50, stem="clip2_"), "3 missing, the first after clip2_029.png"),
        (numbers_without(30, step=5), "1 missing, the first after 025.png"),
        (numbers_without(7, width=10), "1 missing, the first after 0000000006.png"),
        (
            [f"{w}_{i}.png" for w in ("fall", "sit") for i in (1, 2, 3, 5)],
            "2 missing, the first after fall_3.png",
        ),
    ],
)
def test_missing_numbers_are_noted(tmp_path, names, detail):
    [note] = [note for note in probe(make(tmp_path / "walk", *names)).notes if MISSING in note.kind]
    assert note.detail == detail


@pytest.mark.parametrize(
    "names",
    [
        numbers_without(),
        numbers_without(step=5),
        [f"{i}.png" for i in (100, 101, 102)],
        [f"{t}.png" for t in (0, 33, 67, 100, 133, 200)],
        [f"{1633024800 + t}.png" for t in (0, 1, 2, 3, 5, 6, 7)],
        [f"{1633024800 + 0.05 * t}.png" for t in (0, 1, 2, 3, 5, 6, 7)],
        [f"12-30-{s:02}.png" for s in (57, 58, 59)] + ["12-31-00.png", "12-31-02.png"],
        ["a.png", "b.png", "c.png"],
        ["1.png", "5.png"],
    ],
    ids=lambda names: names[0],
)
def test_times_and_constant_steps_lack_no_number(tmp_path, names):
    assert not any(MISSING in kind for kind in kinds(make(tmp_path / "walk", *names)))
