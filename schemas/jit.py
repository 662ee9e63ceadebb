"""The one decorator for compiled code: `from keepline.schemas.jit import njit`.

numba keeps compiled code on disk by the time stamp of the function's own file, and does not notice an edit in a function it calls from
another file. So the cache directory carries a hash over the sources of all modules with compiled code: any edit starts an empty one.

The directory is private (0700), because numba unpickles what it finds there: `$KEEPLINE_NUMBA_CACHE`, else `$XDG_CACHE_HOME/keepline/numba`,
else `~/.cache/keepline/numba`; where that cannot be written or belongs to someone else, a fresh temporary directory for this process.
"""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, overload

import numba

F = TypeVar("F", bound=Callable[..., Any])
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


@cache
def cache_directory() -> Path:
    """Where compiled code of exactly these sources is kept."""
    given = os.environ.get("KEEPLINE_NUMBA_CACHE")
    if given:
        base = Path(given).expanduser()
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        base = Path(home) / "keepline" / "numba"
    path = base / sources_hash()
    if _private(path):
        return path
    return Path(tempfile.mkdtemp(prefix="keepline-numba-"))


@overload
def njit(function: F, /) -> F: ...
@overload
def njit(**options: Any) -> Callable[[F], F]: ...
def njit(function: Any = None, /, **options: Any) -> Any:
    """numba.njit with cache and without the GIL; options as numba's."""
    if function is None:
        return lambda f: njit(f, **options) if not options else _compile(f, options)
    return _compile(function, options)


def _compile(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    # numba reads the setting here, once per function; other users of numba in this process keep theirs.
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_directory())
    try:
        return numba.njit(**{"cache": True, "nogil": True, **options})(function)
    finally:
        numba.config.CACHE_DIR = before
