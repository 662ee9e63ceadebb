"""Feature sets: declared as data (`churn`), compiled to tables (`plan`), executed by one kernel over flat state (`kernel`).

`spec` is the vocabulary of declarations, `layout` the map of a state's bytes, `aggregators` the compiled parts, `oracle` the naive twin
that tests hold the kernel to; `rows` makes training rows with the same kernel, `query` reads what was asked for and writes the answer.
"""
