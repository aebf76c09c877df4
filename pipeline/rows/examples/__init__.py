"""Rows that carry their label themselves: examples."""
