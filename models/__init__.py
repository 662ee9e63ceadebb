"""Models: trained offline from files, carried to the stream as a JSON manifest, scored by a compiled function."""
