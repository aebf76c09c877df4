"""What turns a row's inputs into features."""
