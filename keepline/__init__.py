"""Keepline."""
