"""Which code a job runs, and how it gets it: every job carries its own.

All jobs of a TaskManager share one Python, and a module is loaded once. A second version of a job, submitted while the first runs or
after it, would run the first one's code without a word. So a job's spec is sealed at submit with the hash of the code that made it, and
with that code itself (`sealed`). Where it is opened (`opened`), the hash is compared with that of the code that is loaded there. Equal,
and the loaded code is used. Different, and the job's own is unpacked under a name of its own, `keepline_<hash>`: a copy in which the
imports of `keepline` are renamed, so that both versions live side by side in one process.

    seal:   keepline-code <hash> <bytes of the archive> LF, the archive (zip), the spec as it was
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import io
import re
import shutil
import sys
import tempfile
import threading
import zipfile
from functools import cache
from pathlib import Path

from keepline.schemas.errors import KeeplineError
from keepline.schemas.jit import cache_directory

MAGIC = b"keepline-code "
PARTS = ("schemas", "features", "models", "operators", "jobs/mapping")
"""What runs in a TaskManager, below the package's folder."""
KINDS = frozenset({".py", ".avsc", ".json", ".yaml"})
LEFT_OUT = frozenset({"__pycache__", "jvm", "pretrained"})
"""Folders without code of a TaskManager's Python: a model travels in the spec."""
_HEADER = re.compile(rb"keepline-code ([0-9a-f]{16}) (\d+)\n")
_IMPORT = re.compile(rb"^([ \t]*(?:from|import)[ \t]+)keepline(?=[.\s])", re.MULTILINE)
_loading = threading.Lock()
_EPOCH = (1980, 1, 1, 0, 0, 0)


class CodeError(KeeplineError):
    """A job's code that cannot be loaded beside what is there; the message says what to do."""


def _package() -> Path:
    """The package's folder: __file__ of a clone's module lies beside its links."""
    return Path(str(sys.modules[__name__.partition(".")[0]].__file__)).resolve().parent


def sources(package: Path) -> dict[str, bytes]:
    """The files of a package that run in a TaskManager, by their path in it."""
    found = {"__init__.py": (package / "__init__.py").read_bytes()}
    for part in PARTS:
        base = package / part
        for path in sorted(base.rglob("*")):
            below = path.relative_to(base).parts
            if path.suffix in KINDS and path.is_file() and not LEFT_OUT & set(below):
                found["/".join((part, *below))] = path.read_bytes()
    if any(name.startswith("jobs/") for name in found):
        found["jobs/__init__.py"] = (package / "jobs" / "__init__.py").read_bytes()
    return found


def hash_of(files: dict[str, bytes]) -> str:
    """Hash over names and contents, 16 hex digits."""
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(files):
        digest.update(b"%s %d\n" % (name.encode(), len(files[name])))
        digest.update(files[name])
    return digest.hexdigest()


@cache
def _own() -> dict[str, bytes]:
    return sources(_package())


@cache
def code_hash() -> str:
    """Hash of the code that this process has loaded, as it was when it was first asked for."""
    return hash_of(_own())


def sealed(spec: bytes) -> bytes:
    """A spec with the code that is to run it."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(_own().items()):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return b"%s%s %d\n" % (MAGIC, code_hash().encode(), packed.tell()) + packed.getvalue() + spec


def opened(data: bytes) -> tuple[str, bytes, bytes]:
    """Hash, archive and spec of what `sealed` made; "" and no archive for a spec that is not sealed."""
    if not data.startswith(MAGIC):
        return "", b"", data
    head = _HEADER.match(data)
    if head is None or len(data) < head.end() + int(head[2]):
        msg = "the job's seal is damaged: submit the job again, with the jar and the Python package of one version"
        raise CodeError(msg)
    end = head.end() + int(head[2])
    return head[1].decode(), data[head.end() : end], data[end:]


def package_of(wanted: str, archive: bytes) -> str:
    """Name of the package that holds the code of this hash: `keepline`, or a copy that is unpacked and made importable now.

    Raises:
        CodeError: other code is wanted than is loaded, and it did not come along or is damaged.
    """
    own = __name__.partition(".")[0]
    if wanted in ("", code_hash()):
        return own
    name = f"keepline_{wanted}"
    with _loading:
        if name not in sys.modules:
            _load(name, wanted, archive)
    return name


def _load(name: str, wanted: str, archive: bytes) -> None:
    told = f"this TaskManager has loaded Keepline's code {code_hash()}, and the job is of code {wanted}"
    if not archive:
        msg = f"{told}, which did not come with it: submit the job with this version's `keepline submit`, or restart the TaskManagers"
        raise CodeError(msg)
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            files = {each: zipped.read(each) for each in zipped.namelist()}
    except zipfile.BadZipFile as error:
        msg = f"{told}, which came damaged ({error}): submit the job again"
        raise CodeError(msg) from None
    if hash_of(files) != wanted:
        msg = f"{told}, and what came with it is of code {hash_of(files)}: submit the job again"
        raise CodeError(msg)
    sys.stderr.write(
        f"keepline: {told}: loading it beside, as {name}. Its first start here compiles the kernels, which takes tens of seconds.\n"
    )
    sys.stderr.flush()
    _import(name, _unpacked(name, files))


def _unpacked(name: str, files: dict[str, bytes]) -> Path:
    """Writes the files, renamed, where only this user can write; returns the package's folder."""
    home = cache_directory() / "code"
    home.mkdir(mode=0o700, exist_ok=True)
    folder = home / name
    if folder.exists():
        return folder
    fresh = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home))
    for path, content in files.items():
        target = (fresh / path).resolve()
        if not target.is_relative_to(fresh.resolve()):
            msg = f"the job's code names a file outside of its folder: {path}"
            raise CodeError(msg)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_IMPORT.sub(rb"\1" + name.encode(), content) if path.endswith(".py") else content)
    try:
        fresh.rename(folder)
    except OSError:  # another TaskManager of this machine was faster
        shutil.rmtree(fresh, ignore_errors=True)
        if not folder.exists():
            raise
    return folder


def _import(name: str, folder: Path) -> None:
    """Makes the package importable by its name without a place on sys.path."""
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py", submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:
        msg = f"{folder} holds no package"
        raise CodeError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
