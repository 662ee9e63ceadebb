"""What the hard tests share with those of the whole job."""

from tests.whole.conftest import flink, model, name

__all__ = ["flink", "model", "name"]
