"""The exception tree of Keepline: what stops a command, each with what to do about it.

A bad record is never an exception: it is a value (`encode.Rejected`, a status code).
"""


class KeeplineError(Exception):
    """Something a user can put right; the message says how."""


class SchemaError(KeeplineError):
    """A schema file that cannot be used."""


class FileError(KeeplineError):
    """An input file that cannot be read."""


class MissingFileError(FileError):
    """No such file or folder, or nothing in it."""


class DamagedFileError(FileError):
    """A file whose compression or header is broken."""


class UnsupportedFileError(FileError):
    """A file of a kind that is not read."""
