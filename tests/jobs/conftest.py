"""The tests of jobs run the command, too."""

from tests.cli.conftest import keepline

__all__ = ["keepline"]
