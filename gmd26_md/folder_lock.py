"""One process at a time writes into a folder: an advisory lock, which the system lifts when that process is gone.

Our own few lines on `fcntl.flock` and not the package filelock, which cannot say who has a lock. Where there is no
flock (Windows, some network file systems) nothing is locked.
"""

from __future__ import annotations

import errno
import os
import platform
import weakref
from pathlib import Path

from gmd26_md.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

NAME = ".lock"
_CANNOT = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}


class FolderLock:
    """A lock that is held; it is let go with the last reference to it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        weakref.finalize(self, _let_go, path, descriptor, os.getpid())


_HELD: weakref.WeakValueDictionary[Path, FolderLock] = weakref.WeakValueDictionary()


def locked(folder: Path) -> FolderLock | None:
    """Return the lock of an existing folder; the same one for all that this process opens there. None: no locks here.

    Raises
    ------
    UserError
        If another process has it.
    """
    path = folder.resolve() / NAME
    held = _HELD.get(path)
    if held is not None or fcntl is None:
        return held
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            owner = os.pread(descriptor, 300, 0).decode(errors="replace").strip()
            os.close(descriptor)
            if problem.errno in _CANNOT:
                return None
            raise UserError(
                f"{folder} is being written by {owner or 'another process'}; wait until it has ended, or give --out "
                "another folder."
            ) from problem
        if _is_still(path, descriptor):
            break
        os.close(descriptor)  # the one who had it took the file away between our opening and locking it
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    lock = FolderLock(path, descriptor)
    _HELD[path] = lock
    return lock


def _is_still(path: Path, descriptor: int) -> bool:
    """Tell whether the file under this name is the one that was opened."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(descriptor))


def _let_go(path: Path, descriptor: int, process: int) -> None:
    """Take the file away while it is locked, then let the lock go; a forked child leaves both to its parent."""
    if os.getpid() == process:
        path.unlink(missing_ok=True)
    os.close(descriptor)
