"""Finds the one jar that carries the operator, the Kafka connector and the Redis sink. Does not import PyFlink."""

import os
from pathlib import Path

from keepline.schemas.errors import KeeplineError

NAME = "keepline-operators.jar"
JVM = Path(__file__).resolve().parent / "jvm"


class JarError(KeeplineError):
    """The jar is not there."""


def jar_path() -> Path:
    """The jar: $KEEPLINE_JAR, else beside this module (an installed wheel), else where Maven leaves it (a clone).

    Raises:
        JarError: there is none, with how to get it.
    """
    given = os.environ.get("KEEPLINE_JAR")
    if given:
        if not Path(given).is_file():
            msg = f"KEEPLINE_JAR names {given}, which is no file: correct the path, or unset it to use the built jar"
            raise JarError(msg)
        return Path(given).resolve()
    for path in (JVM / NAME, JVM / "target" / NAME):
        if path.is_file():
            return path
    msg = (
        f"{NAME} is neither in {JVM} nor in {JVM / 'target'}: in a clone run `make setup` (it needs JDK 17 and Maven); "
        "elsewhere name the jar in KEEPLINE_JAR"
    )
    raise JarError(msg)
