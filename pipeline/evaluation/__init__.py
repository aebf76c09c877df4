"""From scores to a verdict: metrics, intervals, the gate, and the report. No torch, no MLflow."""
