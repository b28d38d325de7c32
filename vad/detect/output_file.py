"""Files that the command writes: new ones only, whole ones only, and errors in one line."""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from vad import UserError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def require_new(path: Path, *, overwrite: bool = False, inputs: Iterable[Path] = ()) -> None:
    """Checks, before anything is computed, that a file can be written.

    Args:
        path: of the file. Devices and pipes are always right.
        overwrite: whether an existing file may be replaced.
        inputs: files that are read, which must never be replaced.

    Raises:
        UserError: if the file exists, is a folder or is among the inputs.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as e:
        raise UserError(f"{path}: cannot be written ({e.strerror})") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder; name a file")
    if any(file.exists() and file.samefile(path) for file in inputs):
        raise UserError(f"{path}: is read as a source; name another file")
    if stat.S_ISREG(mode) and not overwrite:
        raise UserError(f"{path}: exists; name another file, or replace it by --overwrite")


def make_folder(path: Path) -> None:
    """Makes a folder and those above it.

    Raises:
        UserError: if that is impossible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f"{path}: the folder cannot be made ({e.strerror})") from None


class OutputFile:
    """A file under construction: bytes go to the disk at once.

    Each write is whole or, if the disk is full, undone, so that what was written before stays readable.

    Args:
        path: of the file; missing folders above it are made.
        visible: whether the file has its name from the beginning, for streams that may never end. Otherwise
            it gets it when it is complete; until then it has a hidden name beside it.
        overwrite: whether an existing file may be replaced.

    Raises:
        UserError: if the file exists or cannot be made.

    Attributes:
        failure: the error of the first write that failed.
    """

    def __init__(self, path: Path, *, visible: bool, overwrite: bool = False):
        require_new(path, overwrite=overwrite)
        make_folder(path.parent)
        self.path = path
        self._special = path.exists() and not path.is_file()  # a device or a pipe: nothing to rename
        self._at = path if visible or self._special else _hidden(path)
        try:
            self._file = open(self._at, "wb" if self._special else "w+b", buffering=0)
        except OSError as e:
            raise UserError(f"{path}: cannot be written ({e.strerror})") from None
        self.failure: UserError | None = None

    def write(self, data: bytes) -> int:
        """Writes at the current position.

        Raises:
            UserError: if the disk is full, or the file cannot be written for another reason. Later writes do
                nothing.
        """
        if self.failure:
            return len(data)
        start = 0 if self._special else self._file.tell()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as e:
            if not self._special:
                self._file.truncate(start)
            self.failure = UserError(f"{self.path}: cannot be written ({e.strerror})")
            if e.errno in FULL:
                self.failure = UserError(
                    f"{self.path}: the disk is full; what was written before is readable: free space and "
                    "run the command again"
                )
            raise self.failure from None
        return len(data)

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Sets the position, as `io.IOBase.seek`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """The position."""
        return self._file.tell()

    def close(self, *, complete: bool = True) -> Path:
        """Closes the file; a hidden one gets its name, or NAME.incomplete.SUFFIX.

        Args:
            complete: whether the file holds all that it should; ignored after an error of `write`.

        Returns:
            Path of the file.

        Raises:
            UserError: if it cannot get its name.
        """
        if self._file.closed:
            return self._at
        self._file.close()
        if self._at != self.path:
            whole = complete and self.failure is None
            name = self.path if whole else self.path.with_suffix(f".incomplete{self.path.suffix}")
            try:
                self._at = self._at.replace(name)
            except OSError as e:
                raise UserError(f"{name}: cannot be written ({e.strerror}); see {self._at}") from None
        return self._at

    def discard(self) -> None:
        """Closes the file and removes it, if there was nothing to write."""
        self._file.close()
        if not self._special:
            self._at.unlink(missing_ok=True)


def _hidden(path: Path) -> Path:
    # cut off, because the name may be as long as the file system allows
    name = os.fsdecode(os.fsencode(path.name)[:150])
    return path.with_name(f".{name}.{os.getpid():x}.writing")
