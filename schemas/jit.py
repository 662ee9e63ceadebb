"""The one decorator for compiled code: `from keepline.schemas.jit import njit`.

numba keeps compiled code on disk by the time stamp of the function's own file, and does not notice an edit in a function it calls from
another file. So the cache directory carries a hash over the sources of all modules with compiled code: any edit starts an empty one.

The directory is private (0700), because numba unpickles what it finds there: in `$KEEPLINE_NUMBA_CACHE`, else in
`$XDG_CACHE_HOME/keepline/numba`, else in `~/.cache/keepline/numba`; where that cannot be written or belongs to someone else, a fresh
temporary directory for this process.
"""

import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numba

F = TypeVar("F", bound=Callable[..., Any])
_NAME = re.compile("[0-9a-f]{16}")
_MONTH_S = 30 * 86400
PACKAGES = ("schemas", "features", "models", "operators", "jobs")


def sources_hash() -> str:
    """Hash over every source file that mentions njit, 16 hex digits."""
    root = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=8)
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_bytes()
            if b"njit" in text:
                digest.update(b"%s %d\n" % (path.relative_to(root).as_posix().encode(), len(text)))
                digest.update(text)
    return digest.hexdigest()


def _private(path: Path) -> bool:
    """Create the directory for this user alone; False if it cannot be trusted or written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = path.lstat()
    except OSError:
        return False
    mine = stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() and not info.st_mode & 0o022
    return mine and os.access(path, os.W_OK | os.X_OK)


def _remove_old(base: Path) -> None:
    """Drop the caches of sources that nobody has compiled for a month."""
    for path in base.iterdir():
        try:
            if path.is_dir() and _NAME.fullmatch(path.name) and time.time() - path.stat().st_mtime > _MONTH_S:
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue


@cache
def cache_directory() -> Path:
    """Where compiled code of exactly these sources is kept."""
    given = os.environ.get("KEEPLINE_NUMBA_CACHE")
    if given:
        base = Path(given).expanduser()
    else:
        home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        base = Path(home).expanduser() / "keepline" / "numba"
    path = base / sources_hash()
    fresh = not path.exists()
    if _private(path):
        if fresh:
            _remove_old(base)
        return path
    return Path(tempfile.mkdtemp(prefix="keepline-numba-"))


@overload
def njit(function: F, /) -> F: ...
@overload
def njit(**options: Any) -> Callable[[F], F]: ...
def njit(function: Any = None, /, **options: Any) -> Any:
    """numba.njit with cache and without the GIL; options as numba's."""
    return _compile(function, options) if function is not None else lambda f: _compile(f, options)


def _compile(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    # numba reads the setting here, once per function; other users of numba in this process keep theirs.
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_directory())
    try:
        return numba.njit(**{"cache": True, "nogil": True, **options})(function)
    finally:
        numba.config.CACHE_DIR = before
