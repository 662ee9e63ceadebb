"""What the embedded schema registry knows, and its answer to each request: paths and error codes of the Confluent REST interface."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from typing import Any, NamedTuple

LEVELS = ("NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE")


class Refused(Exception):  # noqa: N818  an answer, not a fault
    """An answer that is no success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Entry(NamedTuple):
    """One schema: its text and, as JSON, the subjects and versions of the types that it refers to."""

    schema: str
    references: str

    def told(self) -> dict[str, Any]:
        """As the REST interface shows it."""
        references = json.loads(self.references)
        return {"schema": self.schema} | ({"references": references} if references else {})


class Store:
    """Schemas by id, and by subject and version. An id is one schema's, whatever the subjects it is in."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._schemas: list[Entry] = []
        self._subjects: dict[str, dict[int, int]] = {}
        self._levels: dict[str, str] = {"": "BACKWARD"}

    def answer(self, method: str, path: list[str], body: Any, query: Mapping[str, str]) -> Any:
        """What a request is answered with; `Refused` otherwise."""
        with self._lock:
            match method, path:
                case "GET", []:
                    return {}
                case "GET", ["schemas", "types"]:
                    return ["AVRO"]
                case "GET", ["schemas", "ids", number]:
                    return self._by_id(number).told()
                case "GET", ["schemas", "ids", number, "schema"]:
                    return json.loads(self._by_id(number).schema)
                case "GET", ["schemas", "ids", number, "subjects"]:
                    return [place["subject"] for place in self._places(number)]
                case "GET", ["schemas", "ids", number, "versions"]:
                    return self._places(number)
                case "GET", ["subjects"]:
                    return sorted(self._subjects)
                case "GET", ["subjects", subject, "versions"]:
                    return list(self._subject(subject))
                case "GET", ["subjects", subject, "versions", version]:
                    return self._described(subject, self._version(subject, version))
                case "GET", ["subjects", subject, "versions", version, "schema"]:
                    return json.loads(self._described(subject, self._version(subject, version))["schema"])
                case "POST", ["subjects", subject, "versions"]:
                    return self.register(subject, body)
                case "POST", ["subjects", subject]:
                    return self._lookup(subject, body)
                case "DELETE", ["subjects", subject]:
                    versions = list(self._subject(subject))
                    del self._subjects[subject]
                    return versions
                case "DELETE", ["subjects", subject, "versions", version]:
                    known = self._version(subject, version)
                    del self._subjects[subject][known]
                    return known
                case "POST", ["compatibility", "subjects", subject, "versions", version]:
                    found = self._clashes(subject, self._entry(body), [self._version(subject, version)])
                    return {"is_compatible": not found} | ({"messages": found} if query.get("verbose") == "true" else {})
                case "POST", ["compatibility", "subjects", subject, "versions"]:
                    found = self._clashes(subject, self._entry(body), list(self._subject(subject)))
                    return {"is_compatible": not found} | ({"messages": found} if query.get("verbose") == "true" else {})
                case (("GET" | "PUT"), ["config", *rest]) if len(rest) <= 1:
                    return self._config(method, rest[0] if rest else "", body)
            raise Refused(404, 404, "HTTP 404 Not Found")

    def register(self, subject: str, body: Any) -> dict[str, int]:
        """A schema into a subject, unless it is there."""
        with self._lock:
            entry = self._entry(body)
            if self._levels.get(subject, self._levels[""]) != "NONE":
                clashes = self._clashes(subject, entry, self._compared(subject))
                if clashes:
                    raise Refused(409, 409, f"Schema being registered is incompatible with an earlier schema: {'; '.join(clashes)}")
            if entry not in self._schemas:
                self._schemas.append(entry)
            number = self._schemas.index(entry) + 1
            versions = self._subjects.setdefault(subject, {})
            if number not in versions.values():
                versions[max(versions, default=0) + 1] = number
            return {"id": number}

    def _compared(self, subject: str) -> list[int]:
        """The versions that a new schema is held against, by the subject's level."""
        versions = list(self._subjects.get(subject, ()))
        return versions if self._levels.get(subject, self._levels[""]).endswith("TRANSITIVE") else versions[-1:]

    def _clashes(self, subject: str, entry: Entry, versions: list[int]) -> list[str]:
        from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType

        level = self._levels.get(subject, self._levels[""])
        found = []
        for version in versions:
            older, newer = self._parsed(self._schemas[self._subjects[subject][version] - 1]), self._parsed(entry)
            pairs = [] if level.startswith("FORWARD") else [(newer, older)]
            pairs += [(older, newer)] if level.startswith(("FORWARD", "FULL")) else []
            for reader, writer in pairs:
                result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
                if result.compatibility is not SchemaCompatibilityType.compatible:
                    found.append(f"version {version}: {'; '.join(sorted(result.messages))}")
        return found

    def _by_id(self, number: str) -> Entry:
        if not number.isdigit() or not 1 <= int(number) <= len(self._schemas):
            raise Refused(404, 40403, f"Schema {number} not found")
        return self._schemas[int(number) - 1]

    def _places(self, number: str) -> list[dict[str, Any]]:
        self._by_id(number)
        return [{"subject": s, "version": v} for s, each in self._subjects.items() for v, n in each.items() if n == int(number)]

    def _subject(self, subject: str) -> dict[int, int]:
        if subject not in self._subjects:
            raise Refused(404, 40401, f"Subject '{subject}' not found.")
        return self._subjects[subject]

    def _version(self, subject: str, version: str) -> int:
        versions = self._subject(subject)
        if version == "latest":
            return max(versions)
        if not version.isdigit() or int(version) < 1:
            raise Refused(422, 42202, f"The specified version '{version}' is not a valid version id.")
        if int(version) not in versions:
            raise Refused(404, 40402, f"Version {version} not found.")
        return int(version)

    def _described(self, subject: str, version: int) -> dict[str, Any]:
        number = self._subject(subject)[version]
        return {"subject": subject, "version": version, "id": number, **self._schemas[number - 1].told()}

    def _lookup(self, subject: str, body: Any) -> dict[str, Any]:
        entry = self._entry(body)
        for version, number in self._subject(subject).items():
            if self._schemas[number - 1] == entry:
                return self._described(subject, version)
        raise Refused(404, 40403, "Schema not found")

    def _config(self, method: str, subject: str, body: Any) -> dict[str, str]:
        if method == "GET":
            return {"compatibilityLevel": self._levels.get(subject, self._levels[""])}
        level = body.get("compatibility") if isinstance(body, dict) else None
        if level not in LEVELS:
            raise Refused(422, 42203, f"Invalid compatibility level. Valid values are {', '.join(LEVELS)}")
        self._levels[subject] = level
        return {"compatibility": level}

    def _entry(self, body: Any) -> Entry:
        """The schema of a request, as the one text that this schema has; 42201 for what is none."""
        from avro.errors import AvroException

        if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
            raise Refused(422, 42201, "Empty schema; expected a JSON object with the schema as text")
        if body.get("schemaType", "AVRO") != "AVRO":
            raise Refused(422, 42201, f"Invalid schema type {body['schemaType']}; this registry keeps AVRO")
        try:
            parsed = json.loads(body["schema"])
            entry = Entry(json.dumps(parsed, separators=(",", ":")), json.dumps(body.get("references") or []))
            self._parsed(entry)
        except (AvroException, ValueError, KeyError, TypeError) as error:
            raise Refused(422, 42201, f"Invalid schema: {error}") from None
        return entry

    def _parsed(self, entry: Entry, names: Any = None) -> Any:
        """The schema of the `avro` package, the types it refers to parsed before it."""
        from avro.name import Names
        from avro.schema import make_avsc_object

        names = Names() if names is None else names
        for reference in json.loads(entry.references):
            number = self._subject(reference["subject"])[self._version(reference["subject"], str(reference["version"]))]
            self._parsed(self._schemas[number - 1], names)
        return make_avsc_object(json.loads(entry.schema), names)
