"""What the embedded servers share: a folder of their own, one process or several, and an end that leaves nothing behind.

A server is used in a `with` statement. Its folder is temporary where none was given, and goes with it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from keepline.jobs.stack import process
from keepline.jobs.stack.process import Child


class InFolder:
    """A part of the stack that lives in a folder, which is removed at the end unless it was given."""

    def __init__(self, name: str, folder: Path | None) -> None:
        self._temporary = folder is None
        self.folder = folder or process.folder(name)

    @property
    def _owned(self) -> Path | None:
        """The folder that ends with the process, whatever becomes of ours."""
        return self.folder if self._temporary else None

    def start(self) -> Self:
        """Starts it. Raises StackError with the log's end."""
        raise NotImplementedError

    def close(self) -> None:
        """Ends it and removes its temporary folder."""
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(InFolder):
    """One process. `kill` or `stop`, and `start` again, keep folder and ports."""

    def __init__(self, name: str, folder: Path | None) -> None:
        super().__init__(name, folder)
        self._child: Child | None = None

    def _launch(self, name: str, command: Sequence[str | Path], log: str) -> Child:
        self._child = Child(name, command, self.folder / log, owned=self._owned)
        return self._child

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._child is not None and self._child.running

    def kill(self) -> None:
        """Kill -9."""
        if self._child:
            self._child.kill()

    def close(self) -> None:
        """Ends it, now, and removes its temporary folder."""
        self.kill()
        super().close()
