"""What is predicted: batches, head and loss of each task."""
