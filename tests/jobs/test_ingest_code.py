"""What travels with an ingest job: the mapping as text, and the code that maps; a TaskManager with other code loaded runs the job's own."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import cloudpickle  # what PyFlink writes functions with
import pytest

from keepline.jobs.cluster import kinds
from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.ingest_spec import IngestError, ingest_spec
from keepline.jobs.mapping.frames import DEAD_LETTERS
from keepline.jobs.mapping.spec import MODULE, IngestSpec
from keepline.jobs.settings import RetentionSettings
from keepline.operators.carried import Carried, carried
from keepline.schemas.packed import Record, frames, pack_record
from keepline.schemas.records import to_record
from tests.mapping.support import EVENT, HEAD
from tests.operators.test_code import changed, seal

MAPPING = HEAD + textwrap.indent(EVENT.format(type="Message").strip("\n"), "      ")
RECORD = pack_record(Record(b"k", b"{not json"))
"""Its dead letter says what the code that read it calls wrong."""


def settings(folder: Path, text: str = MAPPING, **more: object) -> IngestSettings:
    file = folder / "m.yaml"
    file.write_text(text)
    return IngestSettings(mapping=file, registry_url="http://nowhere:1", **more)  # type: ignore[arg-type]


def told(function: Carried) -> str:
    """The dead letter's message, by the function as a TaskManager gets it."""
    there: Carried = cloudpickle.loads(cloudpickle.dumps(function))
    there.open(None)
    (frame,) = [frame for made in there.flat_map(RECORD) for frame in frames(made)]
    assert frame.channel == DEAD_LETTERS
    return str(to_record(frame.value)[1]["message"])


def test_a_job_maps_with_its_own_code(tmp_path: Path) -> None:
    wanted = settings(tmp_path)
    spec = ingest_spec(wanted).dumps()
    wanted.mapping.unlink()
    other = seal(changed("jobs/mapping/readers.py", "the value is not JSON (", "the value was no JSON ("), spec)
    assert "the value was no JSON (" in told(Carried(MODULE, other))
    assert "the value is not JSON (" in told(carried(MODULE, spec))


def test_the_spec_survives_its_bytes(tmp_path: Path) -> None:
    spec = ingest_spec(settings(tmp_path, registry={"basic.auth.user.info": "u:ä"}, unknown_id_ttl=5000))
    assert IngestSpec.loads(spec.dumps()) == spec
    assert (spec.topics, spec.unknown_id_ms, json.loads(spec.dumps())["registry"]) == (("cdr",), 5000, {"basic.auth.user.info": "u:ä"})


@pytest.mark.parametrize(
    ("text", "topic", "words"),
    [
        (MAPPING, "cdr", "the topic cdr is read and written"),
        (MAPPING.replace("topics: [cdr]", "files: [a]"), "telemetry", "no source has topics"),
    ],
)
def test_what_cannot_work_is_told_without_flink(text: str, topic: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=words):
        kinds.checked("ingest", settings(tmp_path, text, topic=topic))


def test_where_a_start_without_state_reads(tmp_path: Path) -> None:
    assert settings(tmp_path).reads() == (("cdr",), "committed")
    assert kinds.fresh(settings(tmp_path, start="earliest")) == kinds.fresh(RetentionSettings())
    assert kinds.fresh(settings(tmp_path)) != kinds.fresh(settings(tmp_path, start="latest"))
