"""A progress bar on standard error, where that is a terminal; nothing at all elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def bar(what: str, paths: Sequence[Path], *, quiet: bool = False) -> Iterator[Callable[[int], None] | None]:
    """Yields what `read_events` calls with the bytes read, or None where nobody looks on. Gone when the work is done."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from keepline.schemas.files import find_files, total_bytes

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    total = total_bytes(find_files(paths))
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total or None)
        yield lambda read: shown.advance(task, read)


@contextmanager
def counted(what: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None] | None]:
    """Yields what is called with (done, of how many), or None where nobody looks on. Gone when the work is done."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
