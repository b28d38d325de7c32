"""Files that stand for another one: Git-LFS pointers, and empty ones."""

from pathlib import Path

from vad import UserError

LFS = b"version https://git-lfs.github.com/spec/"


def refuse_placeholder(path: Path) -> None:
    """Raises UserError if the file is missing, empty or a Git-LFS pointer in place of the real one."""
    try:
        with open(path, "rb") as file:
            head = file.read(len(LFS))
    except FileNotFoundError:
        raise UserError(f"{path}: not found; check the path, or fetch the data (`dvc pull`)") from None
    except OSError as e:
        raise UserError(f"{path}: cannot be read ({e.strerror})") from None
    if not head:
        raise UserError(f"{path}: empty file (0 bytes); copy it again, or remove it")
    if head == LFS:
        raise UserError(f"{path}: a Git-LFS pointer, not the file itself; run `git lfs pull`")
