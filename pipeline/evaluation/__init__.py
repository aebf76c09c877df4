"""From scores to a verdict: ranks, metrics, intervals, the gate, and the report. No torch, no MLflow."""
