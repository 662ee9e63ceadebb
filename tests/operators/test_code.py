"""A job's own code: any edit is another hash; what came with a job is unpacked beside what is loaded, and runs as what it is."""

from __future__ import annotations

import importlib
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepline.operators import code, runtime
from keepline.operators.spec import OperatorSpec
from tests.jobs.models_for_tests import manifest


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Copies that a test loads are gone afterwards."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("keepline_"):
            del sys.modules[name]


def seal(files: dict[str, bytes], spec: bytes = b"", wanted: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return b"keepline-code %s %d\n" % ((wanted or code.hash_of(files)).encode(), packed.tell()) + packed.getvalue() + spec


def changed(path: str, old: str, new: str) -> dict[str, bytes]:
    files = code.sources(Path(__file__).resolve().parents[2] / "keepline")
    text = files[path].decode()
    assert old in text
    return files | {path: text.replace(old, new).encode()}


def package(sealed: bytes) -> str:
    wanted, archive, _ = code.opened(sealed)
    return code.package_of(wanted, archive)


def test_the_code_is_what_runs_in_a_taskmanager() -> None:
    names = set(code.sources(Path(__file__).resolve().parents[2] / "keepline"))
    assert {"__init__.py", "schemas/decode.py", "schemas/events/Call.avsc", "features/churn.py", "operators/runtime.py"} <= names
    assert not [name for name in names if "jvm" in name or "pretrained" in name or name.startswith(("jobs/cli", "jobs/stack"))]


@pytest.mark.parametrize(
    "path", ["models/contact/decide.py", "models/contact/state-1.avsc", "schemas/events/Call.avsc", "features/churn.py"]
)
def test_any_edit_is_another_hash(path: str) -> None:
    files = code.sources(Path(__file__).resolve().parents[2] / "keepline")
    assert code.hash_of(files) == code.code_hash()
    assert code.hash_of(files | {path: files[path] + b"\n"}) != code.code_hash()
    assert code.hash_of({name: content for name, content in files.items() if name != path}) != code.code_hash()


def test_equal_code_is_not_loaded_again() -> None:
    wanted, archive, spec = code.opened(code.sealed(b"\x00spec\n"))
    assert spec == b"\x00spec\n"
    assert code.package_of(wanted, archive) == "keepline"
    assert code.opened(b"plain") == ("", b"", b"plain")


def test_other_code_runs_beside_this() -> None:
    files = changed("models/contact/rules.py", "A person calls", "A person writes to")
    name = package(seal(files))
    assert re.fullmatch("keepline_[0-9a-f]{16}", name)
    theirs, ours = (importlib.import_module(f"{each}.models.contact.rules") for each in (name, "keepline"))
    assert theirs.Escalation(1).offer == "A person writes to the customer"
    assert ours.Escalation(1).offer == "A person calls the customer"
    assert package(seal(files)) == name
    loaded = [module for each, module in sys.modules.items() if each.startswith(name) and getattr(module, "__file__", None)]
    assert loaded
    # Nothing of the copy leans on the package it was copied from.
    for path in Path(str(theirs.__file__)).parents[2].rglob("*.py"):
        assert not re.search(r"^\s*(from|import) keepline[.\s]", path.read_text(), re.M), path


def test_the_entry_opens_each_with_its_own_code() -> None:
    spec = OperatorSpec(manifest=manifest()).dumps()
    theirs = seal(changed("features/spec.py", "state_version: int = 1", "state_version: int = 77"), spec)
    handles = [int(runtime.entry(runtime.OPEN, 0, 0, 0, 0, data)) for data in (code.sealed(spec), theirs, spec)]
    try:
        assert [int(runtime.entry(runtime.STATE_SIZE, handle, 0, 0, 0, None)) >> 32 for handle in handles] == [1, 77, 1]
    finally:
        for handle in handles:
            assert runtime.entry(runtime.CLOSE, handle, 0, 0, 0, None) == 0
    with pytest.raises(KeyError):
        runtime.entry(runtime.STATE_SIZE, handles[1], 0, 0, 0, None)


@pytest.mark.parametrize(
    ("sealed", "words"),
    [
        (b"keepline-code 0123456789abcdef 0\n", "which did not come with it: submit the job with"),
        (b"keepline-code 0123456789abcdef 900\nshort", "the job's seal is damaged"),
        (b"keepline-code none", "the job's seal is damaged"),
        (b"keepline-code 0123456789abcdef 5\nnozip", "which came damaged"),
        (seal({"__init__.py": b""}, wanted="0" * 16), "what came with it is of code"),
        (seal({"__init__.py": b"", "../../outside.py": b""}), "outside of its folder"),
    ],
)
def test_what_cannot_be_loaded_is_refused(sealed: bytes, words: str) -> None:
    with pytest.raises(code.CodeError, match=words):
        runtime.entry(runtime.OPEN, 0, 0, 0, 0, sealed + json.dumps({}).encode())
