"""Rows that are events of a user's log: which kind of event follows."""
