"""The report of a CLV model as one HTML page: what was fitted, and how it did after the time it was fitted on."""
