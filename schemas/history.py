"""Every released version of every event and output schema: `history/<Type>/<n>.avsc`, from 1 on. A released file is never changed.

Records that older producers wrote, and outputs that an older job wrote, stay readable by them.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from keepline.schemas.errors import SchemaError

FOLDER = Path(__file__).parent / "history"


@cache
def released(name: str, folder: Path = FOLDER) -> tuple[dict[str, Any], ...]:
    """The released schemas of an event or output, oldest first. SchemaError where the numbers have a gap."""
    found: dict[int, dict[str, Any]] = {}
    for path in (folder / name).glob("*.avsc"):
        if not re.fullmatch("[1-9][0-9]*", path.stem):
            message = f"{path}: expected a version number as the name, such as 1.avsc"
            raise SchemaError(message)
        found[int(path.stem)] = json.loads(path.read_bytes())
    if sorted(found) != list(range(1, len(found) + 1)):
        message = f"{folder / name} has the versions {sorted(found)}: expected 1 to {len(found)}, none missing"
        raise SchemaError(message)
    return tuple(found[number] for number in sorted(found))
