"""The file of a manifest, whatever model it is of: where it lies, and the hash that finds a changed or damaged one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepline.models.errors import ModelError

MANIFEST_FILE = "manifest.json"


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


def checksum(raw: Mapping[str, Any]) -> str:
    """Hash the canonical JSON without the field `sha256`; hex."""
    content = {key: value for key, value in raw.items() if key != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
