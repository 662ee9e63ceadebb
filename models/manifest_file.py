"""The file of a manifest, whatever model it is of: where it lies, how it is checked and written.

`sha256` is the hash of the canonical JSON (sorted keys, no spaces, UTF-8) without that field. It finds a changed or damaged file; it is
no signature. `again` says in errors what to do: train or fit once more.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from keepline.models.errors import ModelError

MANIFEST_FILE = "manifest.json"


class Fields(BaseModel):
    """What manifests are made of: no fields beyond those named, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Fields)


def read(path: str | Path, made_by: str) -> tuple[bytes, str]:
    """The bytes of the manifest in a model directory, or of the file itself, and its path for errors; ModelError with what to do.

    `made_by`: what to give in its place, such as "a directory that `keepline train` wrote".
    """
    file = Path(path)
    if file.is_dir():
        file /= MANIFEST_FILE
    try:
        return file.read_bytes(), str(file)
    except FileNotFoundError:
        msg = f"No model at {file}. Give {made_by} (it holds {MANIFEST_FILE})."
        raise ModelError(msg) from None
    except OSError as error:
        msg = f"Model {file} cannot be read: {error.strerror}. Check the path and its permissions."
        raise ModelError(msg) from None


def parsed(data: bytes, where: str, again: str) -> Mapping[str, Any]:
    """The JSON object in the file; ModelError for anything else."""
    try:
        raw = json.loads(data)
    except ValueError as error:
        msg = f"{where} is not JSON ({error}). {again}"
        raise ModelError(msg) from None
    if not isinstance(raw, Mapping):
        msg = f"{where} is a JSON {type(raw).__name__}, expected an object. {again}"
        raise ModelError(msg)
    return raw


def sound(kind: type[Kind], raw: Mapping[str, Any], where: str, again: str) -> Kind:
    """The manifest of this kind: numbers finite, `sha256` right, fields as they should be; else ModelError."""
    for place, value in _numbers(raw, ""):
        if not math.isfinite(value):
            msg = f"{where}: {place} is {value}, expected a finite number. {again}"
            raise ModelError(msg)
    expected = checksum(raw)
    if raw.get("sha256") != expected:
        msg = f"{where}: sha256 is {raw.get('sha256')!r}, but the content hashes to {expected!r}: it was changed or damaged. {again}"
        raise ModelError(msg)
    try:
        # From JSON text, since pydantic is strict about tuples in Python data.
        return kind.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        msg = f"{where}: {place}: {first['msg']} (found {first['input']!r:.80}). {again}"
        raise ModelError(msg) from None


def _numbers(value: Any, place: str) -> Iterator[tuple[str, float]]:
    """All floats below `value`, each with where it stands; list items by their `name` where they have one."""
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _numbers(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            label = item.get("name", i) if isinstance(item, Mapping) else i
            yield from _numbers(item, f"{place}[{label}]")


def as_mapping(manifest: Fields) -> dict[str, Any]:
    """The JSON object of the manifest's file, `sha256` filled in."""
    raw = manifest.model_dump(mode="json")
    raw["sha256"] = checksum(raw)
    return raw


def written(manifest: Fields, *, dense: bool = False) -> bytes:
    """The bytes of the manifest's file. `dense`: on one line, for arrays as long as a forest's would be one number a line."""
    layout: dict[str, Any] = {"separators": (",", ":")} if dense else {"indent": 1}
    return json.dumps(as_mapping(manifest), **layout, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def checksum(raw: Mapping[str, Any]) -> str:
    """Hash the canonical JSON without the field `sha256`; hex."""
    content = {key: value for key, value in raw.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
