"""One file a system, each with a `SYSTEM` (system.py says what that is); they are found by being here."""
