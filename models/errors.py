"""What stops a model from being made or used; each message says where, what was expected and what to do."""

from keepline.schemas.errors import KeeplineError


class ModelError(KeeplineError):
    """A model that cannot be loaded as it is."""


class TrainingDataError(KeeplineError):
    """Rows or labels that a model cannot be trained or scored on."""
