"""Airflow and MLflow on this machine, for `make demo`, `make up` and `make down`."""
