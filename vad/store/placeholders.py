"""Placeholders: files without their content, which are Git-LFS pointers and empty files."""

from pathlib import Path

from vad import UserError

LFS = b"version https://git-lfs.github.com/spec/"  # the first bytes of a pointer


def refuse_placeholder(path: Path) -> None:
    """Refuses a file without content.

    Raises:
        UserError: if the file is missing, unreadable, empty or a Git-LFS pointer.
    """
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
