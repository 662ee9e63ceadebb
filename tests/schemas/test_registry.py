"""The registry's client against the embedded registry, over HTTP: what is known, what is not, and what is no answer."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest

from keepline.jobs.stack.ports import free_ports
from keepline.jobs.stack.registry import EmbeddedRegistry
from keepline.schemas.catalog import EVENT_TYPES, event_type
from keepline.schemas.errors import SchemaError
from keepline.schemas.registry import Registry, RegistryAwayError, RegistryError

CALL = event_type("Call").schema
SUBJECT = "keepline.events.Call"


@pytest.fixture
def server() -> Iterator[EmbeddedRegistry]:
    with EmbeddedRegistry() as registry:
        yield registry


def test_ids_lead_to_schemas(server: EmbeddedRegistry) -> None:
    client = Registry(server.url)
    ids = [client.register(f"keepline.events.{event.name}", event.schema) for event in EVENT_TYPES]
    assert ids == list(range(1, 16))
    assert [Registry(server.url).schema(number) for number in ids] == [event.schema for event in EVENT_TYPES]
    assert client.register(SUBJECT, CALL) == client.register("other", CALL) == client.lookup(SUBJECT, CALL) == 1
    assert client.lookup("absent", CALL) is None
    assert client.lookup(SUBJECT, event_type("Bill").schema) is None
    assert client.subjects()[:2] == ["keepline.events.AppOpen", "keepline.events.Bill"]


def test_a_known_id_is_asked_once_and_outlives_the_registry(server: EmbeddedRegistry) -> None:
    number, client = server.register(SUBJECT, CALL), Registry(server.url)
    assert client.schema(number) == CALL
    server.stop()
    assert client.schema(number) == CALL
    with pytest.raises(RegistryAwayError, match=f"no answer from the schema registry at {server.url} to schema id 2"):
        client.schema(2)
    server.start()
    assert client.schema(2) is None
    assert [asked for asked in server.requests if asked == f"GET /schemas/ids/{number}"] == [f"GET /schemas/ids/{number}"]


def test_an_unknown_id_is_believed_for_a_while(server: EmbeddedRegistry) -> None:
    client, forgetful = Registry(server.url, unknown_ttl=60), Registry(server.url)
    assert client.schema(1) is None
    assert client.schema(1) is None
    assert server.requests == ["GET /schemas/ids/1"]
    assert forgetful.schema(1) is None
    server.register(SUBJECT, CALL)
    assert client.schema(1) is None
    assert forgetful.schema(1) == CALL


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}", "http://u:s3cret@127.0.0.1:{}"])
def test_a_registry_that_is_away_is_not_one_that_does_not_know(url: str) -> None:
    (port,) = free_ports(1)
    with pytest.raises(RegistryAwayError) as error:
        Registry(url.format(port)).schema(1)
    assert f"127.0.0.1:{port} to schema id 1" in str(error.value)
    assert "Connection refused" in str(error.value)
    assert "s3cret" not in str(error.value)


def test_errors_of_the_server_are_no_answer(server: EmbeddedRegistry) -> None:
    server.failing = True
    with pytest.raises(RegistryAwayError, match="HTTP 500: Error in the backend data store"):
        Registry(server.url).schema(1)
    server.failing = False
    with pytest.raises(RegistryAwayError, match="is this the registry's address"):
        Registry(f"{server.url}/elsewhere").schema(1)


def test_basic_authentication() -> None:
    with EmbeddedRegistry(user_info="app:s3cret") as server:
        number = server.register(SUBJECT, CALL)
        assert Registry(server.url, {"basic.auth.user.info": "app:s3cret"}).schema(number) == CALL
        assert Registry(server.url.replace("//", "//app:s3cret@")).schema(number) == CALL
        for properties in ({}, {"basic.auth.user.info": "app:n0t"}):
            with pytest.raises(RegistryAwayError, match=r"HTTP 401: Unauthorized.*basic\.auth\.user\.info") as error:
                Registry(server.url, properties).schema(number)
            assert "n0t" not in str(error.value)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"no.such": "1"}, "Unrecognized properties: no.such"),
        ({"timeout": "soon"}, "could not convert"),
        ({"ssl.ca.location": "/absent.pem"}, "No such file"),
    ],
)
def test_properties_that_cannot_be_used(properties: dict[str, str], words: str) -> None:
    with pytest.raises(RegistryError, match=words):
        Registry("http://127.0.0.1:1", properties)


def test_what_no_event_can_have_is_a_schema_error(server: EmbeddedRegistry) -> None:
    number = server.register("text", "string")
    for _ in range(2):
        with pytest.raises(SchemaError, match=f'schema id {number} of the schema registry is "string": expected a record'):
            Registry(server.url).schema(number)


def test_references_are_written_out_where_first_named(server: EmbeddedRegistry) -> None:
    cell = {"type": "record", "name": "Cell", "namespace": "net", "fields": [{"name": "mast", "type": "long"}]}
    site = {"type": "record", "name": "Site", "namespace": "net", "fields": [{"name": "cell", "type": "Cell"}]}
    call = copy.deepcopy(CALL)
    call["fields"] += [{"name": "site", "type": "net.Site"}, {"name": "cells", "type": {"type": "array", "items": "net.Cell"}}]
    server.register("cell", cell)
    server.register("site", site, [{"name": "net.Cell", "subject": "cell", "version": 1}])
    number = server.register(SUBJECT, call, [{"name": "net.Site", "subject": "site", "version": 1}])
    found = Registry(server.url).schema(number)
    assert found is not None
    assert found["fields"][-2]["type"] == site | {"fields": [{"name": "cell", "type": cell}]}
    assert found["fields"][-1]["type"] == {"type": "array", "items": "net.Cell"}


def asked(server: EmbeddedRegistry, path: str, body: object = None, method: str = "") -> tuple[int, object]:
    """One request by hand, as any client of the REST interface would send it."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(server.url + path, data, {"Content-Type": "application/vnd.schemaregistry.v1+json"}, method=method or None)
    try:
        with urlopen(request, timeout=10) as answer:
            assert answer.headers["Content-Type"] == "application/vnd.schemaregistry.v1+json"
            return answer.status, json.load(answer)
    except OSError as error:
        return error.code, json.load(error)["error_code"]  # type: ignore[attr-defined]


def test_the_rest_interface(server: EmbeddedRegistry) -> None:
    text = json.dumps(CALL)
    assert asked(server, "/subjects") == (200, [])
    assert asked(server, "/subjects/c/versions") == (404, 40401)
    assert asked(server, "/schemas/ids/1") == (404, 40403)
    assert asked(server, "/subjects/c/versions", {"schema": '{"type": "rekord"}'}) == (422, 42201)
    assert asked(server, "/subjects/c/versions", {"schema": text}) == (200, {"id": 1})
    assert asked(server, "/subjects/c/versions/9") == (404, 40402)
    assert asked(server, "/subjects/c/versions/x") == (422, 42202)
    _, latest = asked(server, "/subjects/c/versions/latest")
    assert (latest["subject"], latest["version"], latest["id"], json.loads(latest["schema"])) == ("c", 1, 1, CALL)  # type: ignore[index]
    assert asked(server, "/subjects/c", {"schema": text}) == (200, latest)
    assert asked(server, "/subjects/c", {"schema": '"long"'}) == (404, 40403)
    without = CALL | {"fields": [field for field in CALL["fields"] if field["name"] != "roaming"]}
    more = CALL | {"fields": [*CALL["fields"], {"name": "cell", "type": "long"}]}
    check = "/compatibility/subjects/c/versions/latest"
    assert asked(server, check, {"schema": json.dumps(without)}) == (200, {"is_compatible": True})
    assert asked(server, check, {"schema": json.dumps(more)}) == (200, {"is_compatible": False})
    assert asked(server, "/subjects/c/versions", {"schema": json.dumps(more)}) == (409, 409)
    with pytest.raises(RegistryError, match="refuses subject c"):
        Registry(server.url).register("c", more)
    assert asked(server, "/config/c", {"compatibility": "NONE"}, "PUT") == (200, {"compatibility": "NONE"})
    assert asked(server, "/config/c", {"compatibility": "SOME"}, "PUT") == (422, 42203)
    assert asked(server, "/subjects/c/versions", {"schema": json.dumps(more)}) == (200, {"id": 2})
    assert asked(server, "/schemas/ids/2/versions") == (200, [{"subject": "c", "version": 2}])
    assert asked(server, "/subjects/c/versions") == (200, [1, 2])
    assert asked(server, "/subjects/c", method="DELETE") == (200, [1, 2])
    assert asked(server, "/subjects") == (200, [])
    assert asked(server, "/no/such") == (404, 404)
