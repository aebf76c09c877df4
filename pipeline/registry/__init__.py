"""The MLflow registry: tracking, promotion, look-up and rollback."""
