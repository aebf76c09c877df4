"""Serving a promoted candidate: its package, the MLflow predictor, and recommendations from the shell."""
