"""What a column of a table says: ids, times, numbers, flags, each with the values that cannot be read."""
