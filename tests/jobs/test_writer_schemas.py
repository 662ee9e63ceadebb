"""The setting `writer_schemas`: read and judged at submit, file by file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from keepline.jobs.operator_spec import operator_spec
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.writer_schemas import writer_schemas
from keepline.schemas.catalog import event_type
from keepline.schemas.errors import SchemaError
from keepline.schemas.registry import RegistryError

CALL = event_type("Call").schema
NEWER = CALL | {"fields": [*CALL["fields"], {"name": "cell", "type": "string"}]}


def test_files_and_folders_go_into_the_spec(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Call.avsc").write_text(json.dumps(NEWER))
    (tmp_path / "one.avsc").write_text(json.dumps(CALL | {"namespace": "com.example"}))
    spec = operator_spec(RetentionSettings(writer_schemas=(tmp_path / "deep", tmp_path / "one.avsc")))
    assert [schema["namespace"] for schema in spec.writer_schemas] == ["keepline.events", "com.example"]


def test_what_cannot_be_read_is_refused_with_file_field_and_reason(tmp_path: Path) -> None:
    wrong = copy.deepcopy(CALL)
    wrong["fields"][4]["type"] = "string"
    for text, words in (
        (json.dumps(wrong), r"Call\.duration_s is string: expected double"),
        ("{", "cannot be read as an Avro schema"),
        ('{"type": "record", "name": "Invoice", "fields": []}', "the record Invoice is no event type"),
    ):
        file = tmp_path / "wrong.avsc"
        file.write_text(text)
        with pytest.raises(SchemaError, match=words) as error:
            operator_spec(RetentionSettings(writer_schemas=(tmp_path,)))
        assert str(error.value).startswith(f"{file}: ")
    with pytest.raises(SchemaError, match=r"absent\.avsc: cannot be read"):
        list(writer_schemas([tmp_path / "absent.avsc"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SchemaError, match=r"no \.avsc file in this folder"):
        list(writer_schemas([tmp_path / "empty"]))


def test_registry_properties_are_refused_at_submit() -> None:
    with pytest.raises(RegistryError, match=r"Unrecognized properties: no\.such"):
        operator_spec(RetentionSettings(registry_url="http://127.0.0.1:1", registry={"no.such": "x"}))
