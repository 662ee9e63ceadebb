"""One small module per aggregator: how its section starts, takes an event, and is read into a row.

All are compiled and table-driven: they find offsets, registers and constants in a plan (`features/plan.py`), and the
state through views of the same memory (`features/layout.py`). The naive twin of all of them is `features/oracle.py`.
"""
