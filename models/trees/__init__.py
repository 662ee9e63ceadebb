"""Boosted trees: kept in the manifest as flat arrays, scored by compiled code, alone or in a weighted mean with a logistic model."""
