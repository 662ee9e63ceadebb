"""The file that a person has repaired: exported letters, their events put right, checked as the job will check them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from keepline.schemas.encode import Rejected, encode


class Repaired(NamedTuple):
    """Values to send by the place of their letter, and what is still wrong, line by line."""

    values: dict[str, list[bytes]]
    topics: dict[str, str]
    """The topics that the letters' records came from."""
    bad: list[str]


def read_repaired(path: Path, dead_letters: str, judge: Callable[[bytes], str]) -> Repaired:
    """Reads the file. Several lines of one letter are sent together, or not at all while one of them is wrong."""
    found: dict[str, list[bytes]] = defaultdict(list)
    topics: dict[str, str] = {}
    wrong: set[str] = set()
    bad: list[str] = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        if not text.strip():
            continue
        place, topic, value, why = _line(text, dead_letters, judge)
        if why:
            wrong.add(place)
            bad.append(f"{path}:{number}: {why}")
        else:
            found[place].append(value)
            topics[place] = topic
    return Repaired({place: values for place, values in found.items() if place not in wrong}, topics, bad)


def _line(text: bytes, dead_letters: str, judge: Callable[[bytes], str]) -> tuple[str, str, bytes, str]:
    """(place, topic, value, what is wrong); each empty where there is none."""
    try:
        line: Any = json.loads(text)
    except ValueError as error:
        return "", "", b"", f"the line is not JSON ({error}): expected a line of --export, its event repaired"
    place = line.get("from") if isinstance(line, dict) else None
    if not isinstance(place, str) or not _is_place(place, dead_letters):
        return "", "", b"", f'"from" is {json.dumps(place)}: expected a place such as "{dead_letters}-0-17", as --export wrote it'
    if "event" not in line:
        return place, "", b"", 'there is no "event": write it as a line of an event file, such as {"type": "Call", "customer_id": …}'
    event = encode(line["event"])
    if isinstance(event, Rejected):
        return place, "", b"", f"{event.reason.name}: {event.message}"
    topic = line.get("topic")
    if not isinstance(topic, str):
        return place, "", b"", '"topic" is missing: expected the topic that the record came from, as --export wrote it'
    return place, topic, event.value, judge(event.value)


def _is_place(place: str, dead_letters: str) -> bool:
    topic, _, rest = place.rpartition("-")
    topic, _, partition = topic.rpartition("-")
    return topic == dead_letters and partition.isdecimal() and rest.isdecimal()
