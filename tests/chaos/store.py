"""The checkpoint folder as a small disk of its own, so that it can fill up.

Where this process may mount (root on Linux), it is a tmpfs in a mount namespace of this process and its children: nothing of it is left
when they end, however they end. Elsewhere the folder is made read-only instead, which refuses the same writes with another error.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

MEGABYTES = 96
CLONE_NEWNS, MS_PRIVATE, MS_REC = 0x20000, 1 << 18, 1 << 14


class Store:
    """A folder for checkpoints with `MEGABYTES` of room; `kind` says what it is."""

    def __init__(self, folder: Path, *, disk: bool = True) -> None:
        """`disk` False: only a folder, for who does not want to fill it."""
        self.folder = folder
        folder.mkdir(parents=True)
        self.kind = "a tmpfs" if disk and _mounted(folder) else "a folder made read-only"
        self._ballast = folder / "ballast"

    def fill(self) -> str:
        """No more room for now, until somebody deletes something; says what a writer is told."""
        if self.kind != "a tmpfs":
            for folder in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
                folder.chmod(0o500)
        try:
            with self._ballast.open("ab", buffering=0) as file:
                for _ in range(MEGABYTES << 5):
                    file.write(bytes(1 << 16))
        except OSError as error:
            return str(error.strerror)
        raise AssertionError(f"{self.folder} still takes writes: this user may write what is read-only, and may not mount")

    def free(self) -> None:
        """Room again."""
        self._ballast.unlink(missing_ok=True)
        if self.kind != "a tmpfs":
            for folder in (self.folder, *(path for path in self.folder.rglob("*") if path.is_dir())):
                folder.chmod(0o700)


def _mounted(folder: Path) -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(None, b"/", None, MS_PRIVATE | MS_REC, None):
        return False
    return libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, f"size={MEGABYTES}m".encode()) == 0
