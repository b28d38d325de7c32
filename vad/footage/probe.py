"""Probes a source: number of frames, frame rate, size; and hashes its content."""

from pathlib import Path

from vad import UserError
from vad.footage.info import Info
from vad.footage.pictures import DEFAULT_FORMAT, PictureFormat, need_pictures
from vad.footage.probe_pictures import probe_pictures
from vad.footage.probe_video import probe_video
from vad.store import digests
from vad.store.placeholders import refuse_placeholder

BLOCK = 1 << 20  # bytes that are read at a time


def probe(source: Path, pictures: PictureFormat = DEFAULT_FORMAT) -> Info:
    """Probes a video file or a folder of pictures.

    Of a video, the packets are counted where they stand for frames (`probe_video`); of pictures, only the
    headers are read (`probe_pictures`).

    Args:
        source: a video file or a folder of pictures.
        pictures: frame rate and bits of a folder of pictures.

    Raises:
        UserError: if the source is missing, empty, a Git-LFS pointer, not a video, cut off or damaged, or has
            fewer than two frames, and as `probe_pictures`.
    """
    info = probe_pictures(source, pictures) if source.is_dir() else probe_video(source)
    if (n := info.frames) < 2:
        raise UserError(f"{source}: holds {n} frame{'s' * (n != 1)}; a clip needs at least 2")
    return info


def hash_source(source: Path) -> str:
    """Content hash of a source: the bytes of a video, or names, sizes and bytes of the pictures in order.

    Raises:
        UserError: if a file is missing, empty or a Git-LFS pointer, or the folder has no pictures.
    """
    hasher = digests.new()
    is_folder = source.is_dir()
    for path in need_pictures(source) if is_folder else [source]:
        refuse_placeholder(path)
        if is_folder:
            hasher.update(f"{path.name}\0{path.stat().st_size}\0".encode())
        with open(path, "rb") as file:
            while block := file.read(BLOCK):
                hasher.update(block)
    return hasher.hexdigest()
