"""The committed schemas are compatible with all that was released; and a change that is not is found, of every kind."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keepline.schemas.catalog import EVENT_TYPES, OUTPUT_NAMES, event_type
from keepline.schemas.errors import SchemaError
from keepline.schemas.framing import fingerprint
from keepline.schemas.history import FOLDER, released
from keepline.schemas.programs import Programs
from tests.schemas.compatibility import committed, problems

CALL = event_type("Call").schema
Change = Callable[[dict[str, Any]], Any]


def test_the_committed_schemas_may_be_released() -> None:
    assert list(problems(committed())) == []
    assert set(committed()) == {event.name for event in EVENT_TYPES} | set(OUTPUT_NAMES)


def test_every_released_event_is_read_by_its_fingerprint() -> None:
    programs = Programs()
    for event in EVENT_TYPES:
        assert {fingerprint(schema) for schema in released(event.name)} <= set(programs._schemas)


def history(folder: Path, *versions: dict[str, Any]) -> Path:
    (folder / "Call").mkdir()
    for number, schema in enumerate(versions, 1):
        (folder / "Call" / f"{number}.avsc").write_text(json.dumps(schema), encoding="utf-8")
    return folder


def changed(change: Change) -> dict[str, Any]:
    schema = copy.deepcopy(CALL)
    change(schema)
    return schema


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in schema["fields"] if each["name"] == name)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s["fields"].append({"name": "cell", "type": "string", "default": ""}),
        lambda s: s["fields"].remove(field(s, "roaming")),
        lambda s: field(s, "outcome")["type"]["symbols"].append("BUSY"),
        lambda s: s.update(doc="A call."),
    ],
    ids=["added with default", "removed with default", "symbol where there is a default", "text"],
)
def test_a_compatible_change_only_has_to_be_recorded(change: Change, tmp_path: Path) -> None:
    schema = changed(change)
    folder = history(tmp_path, CALL)
    assert list(problems({"Call": schema}, folder)) == [
        "Call: the schema is not its newest released version; commit it as schemas/history/Call/2.avsc"
    ]
    (folder / "Call" / "2.avsc").write_text(json.dumps(schema), encoding="utf-8")
    released.cache_clear()
    assert list(problems({"Call": schema}, folder)) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s["fields"].append({"name": "cell", "type": "string"}), "the committed schema cannot read records of version 1"),
        (lambda s: s["fields"].remove(field(s, "duration_s")), "version 1 cannot read records of the committed schema"),
        (lambda s: field(s, "duration_s").update(type="string"), "reader type: string not compatible with writer type: double"),
        (lambda s: field(s, "duration_s").update(type="float"), "reader type: float not compatible with writer type: double"),
        (lambda s: field(s, "duration_s").update(type=["null", "double"]), "version 1 cannot read records of the committed schema"),
        (lambda s: field(s, "duration_s").update(name="seconds"), "duration_s"),
        (lambda s: field(s, "outcome")["type"].update(name="Other"), "CallOutcome"),
        (lambda s: s.update(name="Ring"), "Ring"),
    ],
    ids=["added without default", "removed without default", "type", "narrowed", "nullable", "renamed", "enum renamed", "record renamed"],
)
def test_an_incompatible_change_is_found(change: Change, words: str, tmp_path: Path) -> None:
    schema = changed(change)
    found = list(problems({"Call": schema}, history(tmp_path, CALL, schema)))
    assert any(words in told for told in found), found


def test_a_symbol_is_not_taken_away_or_added_where_there_is_no_default(tmp_path: Path) -> None:
    response = event_type("PromotionResponse").schema
    for symbols in (["SENT", "OPENED", "CLICKED", "REDEEMED"], ["SENT", "OPENED", "CLICKED", "REDEEMED", "DECLINED", "SEEN"]):
        schema = copy.deepcopy(response) | {"name": "Call"}
        schema["fields"][4]["type"]["symbols"] = symbols
        folder = tmp_path / str(len(symbols))
        folder.mkdir()
        found = list(problems({"Call": schema}, history(folder, response | {"name": "Call"}, schema)))
        assert any("symbol" in told for told in found), found


def test_each_older_version_is_compared_not_only_the_last(tmp_path: Path) -> None:
    """An int became a long by way of a version without the field: each step is fine, the whole is not."""
    first = changed(lambda s: s["fields"].append({"name": "cell", "type": "int", "default": 0}))
    third = changed(lambda s: s["fields"].append({"name": "cell", "type": "string", "default": ""}))
    found = list(problems({"Call": third}, history(tmp_path, first, CALL, third)))
    assert found
    assert all("version 1" in told for told in found)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    folder = history(tmp_path, CALL)
    assert list(problems({"Call": CALL, "Bill": CALL}, folder)) == [
        "Bill: no released version; commit the schema as schemas/history/Bill/1.avsc"
    ]
    assert next(problems({}, folder)).startswith("Call: released, but its schema is gone")
    (folder / "Call" / "1.avsc").rename(folder / "Call" / "2.avsc")
    released.cache_clear()
    with pytest.raises(SchemaError, match="expected 1 to 1, none missing"):
        released("Call", folder)
    (folder / "Call" / "2.avsc").rename(folder / "Call" / "two.avsc")
    with pytest.raises(SchemaError, match="expected a version number"):
        released("Call", folder)
    assert FOLDER.name == "history"
