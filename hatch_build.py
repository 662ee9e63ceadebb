"""hatchling's build hook: the wheel carries the job's jar and flink-conf/, so that installing it needs neither Maven nor a JDK's compiler.

Builds the jar with Maven where it is absent. An editable install leaves it where Maven puts it.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

JAR = Path("operators/jvm/target/keepline-operators.jar")
IN_WHEEL = "keepline/operators/jvm/keepline-operators.jar"  # where operators/jar.py looks


class JarHook(BuildHookInterface[Any]):
    """Puts the jar into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before the build; `version` is "standard" or "editable"."""
        if version == "editable":
            return
        jar = Path(self.root) / JAR
        if not jar.is_file():
            maven = shutil.which("mvn")
            if maven is None:
                msg = f"{jar} is absent and mvn is not on the PATH: building this wheel needs JDK 17 and Maven (installing it does not)"
                raise RuntimeError(msg)
            command = [maven, "-q", "-B", "-f", str(jar.parents[1] / "pom.xml"), "package", "-DskipTests"]
            subprocess.run(command, check=True)
        build_data["force_include"][str(jar)] = IN_WHEEL
        build_data["force_include"][str(Path(self.root) / "flink-conf")] = "keepline/flink-conf"
