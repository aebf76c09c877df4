"""What is predicted of a row, by kind: how it is measured, and the words in which people are told of it."""
