"""Rows that say which item a user took: prepared domains, their leaks and slices, and what serves them."""
