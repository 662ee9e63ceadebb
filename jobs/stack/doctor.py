"""What `keepline doctor` checks: one plain function per check, each saying what it found and how to put it right.

`checks` runs those that apply; a check never raises.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from keepline.jobs.stack import java
from keepline.jobs.stack.process import StackError
from keepline.operators.jar import JarError, jar_path
from keepline.schemas.errors import KeeplineError

PATIENCE = 5.0  # seconds for a server to answer


class Check(NamedTuple):
    """A finding; `fix` is empty where all is well."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def checks(
    *,
    bootstrap_servers: str | None = None,
    redis_url: str | None = None,
    registry_url: str | None = None,
    model: Path | None = None,
    properties: Mapping[str, str] | None = None,
    registry_properties: Mapping[str, str] | None = None,
) -> list[Check]:
    """All checks; Kafka and Redis only where an address is given, Maven only while the jar is missing."""
    jar = job_jar()
    found = [python_version(), java_runtime(), jar]
    if not jar.ok:
        found.append(maven())
    found += [broker(), flink(), numba_cache(), pretrained(model)]
    if bootstrap_servers:
        found.append(kafka(bootstrap_servers, properties))
    if redis_url:
        found.append(redis(redis_url))
    if registry_url:
        found.append(registry(registry_url, registry_properties))
    return found


def python_version() -> Check:
    """Python 3.11: what apache-flink's pinned packages have wheels for."""
    told = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info[:2] == (3, 11)
    return Check("Python", ok, f"{told} ({sys.executable})", "" if ok else "run `make setup` with PYTHON=/path/to/python3.11")


def java_runtime() -> Check:
    """A Java that runs Flink 2.3 and the job's jar."""
    install = f"install JDK {java.WANTED} (Debian: apt-get install openjdk-{java.WANTED}-jdk-headless) and point JAVA_HOME to it"
    try:
        program = java.java()
        version = java.java_version(program)
    except (StackError, OSError) as error:
        return Check("Java", False, str(error), install)
    if version < java.WANTED:
        return Check("Java", False, f"{program} is version {version}, {java.WANTED} is needed", install)
    return Check("Java", True, f"{version} ({program})")


def maven() -> Check:
    """Maven, which builds the jar in a clone."""
    found = shutil.which("mvn")
    if found:
        return Check("Maven", True, found)
    return Check("Maven", False, "mvn is not on the PATH", "install Maven (Debian: apt-get install maven), or the wheel, which has the jar")


def job_jar() -> Check:
    """The job's jar."""
    try:
        return Check("Job jar", True, str(jar_path()))
    except JarError as error:
        return Check("Job jar", False, str(error), "run `make setup`, or set KEEPLINE_JAR")


def broker() -> Check:
    """The embedded broker's jars; only the demo and the tests need them."""
    try:
        return Check("Embedded Kafka", True, str(java.broker_jars()))
    except StackError as error:
        return Check("Embedded Kafka", False, str(error), "run `make setup` (only `keepline demo` and the tests need it)")


def flink() -> Check:
    """PyFlink, and pemja, its interpreter inside the JVM; looked for, not imported, which would take seconds."""
    missing = [name for name in ("pyflink", "pemja") if importlib.util.find_spec(name) is None]
    if missing:
        return Check("PyFlink", False, f"not installed here: {', '.join(missing)}", "run `make setup` and use .venv/bin/keepline")
    from importlib.metadata import version

    return Check("PyFlink", True, f"apache-flink {version('apache-flink')}, pemja {version('pemja')}")


def numba_cache() -> Check:
    """The folder where numba keeps compiled kernels; without it each process compiles for half a minute."""
    from keepline.schemas.jit import cache_directory

    path = cache_directory()
    try:
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        return Check("Kernel cache", False, f"{path}: {error.strerror}", "name a folder you may write in KEEPLINE_NUMBA_CACHE")
    if path.parent == Path(tempfile.gettempdir()):
        fix = "name a folder that is yours alone (mode 0700) in KEEPLINE_NUMBA_CACHE"
        return Check("Kernel cache", False, f"the usual folder cannot be used, so kernels are compiled anew each time, in {path}", fix)
    return Check("Kernel cache", True, str(path))


def pretrained(model: Path | None = None) -> Check:
    """The model loads and fits the churn feature set."""
    import keepline
    from keepline.features.sets import feature_set
    from keepline.models import manifest

    path = model or Path(str(keepline.__file__)).parent / "models" / "pretrained" / "churn" / "1"
    try:
        manifest.load(path, feature_set("churn"))
    except (KeeplineError, OSError) as error:
        return Check("Model", False, str(error), "restore the file, or name another with --model (made by `keepline train`)")
    return Check("Model", True, str(path))


def kafka(bootstrap_servers: str, properties: Mapping[str, str] | None = None) -> Check:
    """The brokers answer."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from keepline.jobs.kafka_client import Config, KafkaError, client, reason, why_refused

    config: Config = {"bootstrap.servers": bootstrap_servers, "socket.connection.setup.timeout.ms": 3000}
    try:
        asked = client(AdminClient, config | dict(properties or {}))
    except KafkaError as error:
        return Check("Kafka", False, str(error), "correct --kafka")
    try:
        brokers = asked.list_topics(timeout=PATIENCE).brokers
    except KafkaException as error:
        refused, _, change = why_refused(asked, bootstrap_servers).rpartition("; ")
        if refused:
            return Check("Kafka", False, refused, change)
        fix = "start Kafka, or correct --bootstrap-servers (host:port); check advertised.listeners, firewall and TLS (--kafka)"
        return Check("Kafka", False, f"no answer from {bootstrap_servers} within {PATIENCE:.0f} s: {reason(error)}", fix)
    return Check("Kafka", True, f"{len(brokers)} broker(s) at {bootstrap_servers}")


def redis(url: str) -> Check:
    """The server answers, with the password masked in the finding."""
    from urllib.parse import urlsplit

    from redis import Redis
    from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

    parts = urlsplit(url)
    place = f"{parts.hostname or '?'}:{parts.port or 6379}"
    try:
        client = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        client.ping()
        try:
            version = str(dict(client.info("server"))["redis_version"])  # type: ignore[arg-type]  # redis-py types it for asyncio too
        except NoPermissionError:  # the job's user need not ask
            version = "untold"
    except AuthenticationError as error:
        return Check(
            "Redis", False, f"{place} refused us: {error}", "give user and password in the URL: redis://user:password@host:port/db"
        )
    except NoPermissionError as error:
        return Check("Redis", False, f"{place} does not let us ask: {error}", "give this user +ping, as docs/security.md does")
    except (RedisError, ValueError, OSError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            fix = "name the PEM file of Redis' authority (?ssl_ca_certs=/path/to/ca.pem), and the host name that its certificate has"
            return Check("Redis", False, f"{place} has a certificate that is not trusted: {error}", fix)
        return Check("Redis", False, f"no answer from {place}: {error}", "start Redis, or correct --redis-url (redis://host:port/db)")
    return Check("Redis", True, f"version {version} at {place}")


def registry(url: str, properties: Mapping[str, str] | None = None) -> Check:
    """The schema registry tells its subjects, with the password masked in the finding."""
    from keepline.schemas.registry import Registry, RegistryError, shown_url

    try:
        asked = Registry(url, {"timeout": str(PATIENCE), **(properties or {})})
        subjects = asked.subjects()
        asked.close()
    except RegistryError as error:
        return Check("Schema registry", False, str(error), "correct --registry-url (http://host:port) or --registry")
    except KeeplineError as error:
        return Check("Schema registry", False, str(error), "start the registry, or correct --registry-url and --registry")
    ours = sum(subject.startswith("keepline.events.") for subject in subjects)
    return Check("Schema registry", True, f"{len(subjects)} subjects, {ours} of them keepline.events.*, at {shown_url(url)}")
