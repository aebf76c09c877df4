#!/bin/sh
# The MLflow server of the compose stack. Its store is the one below CROSSLIFT_HOME, so that what a local run logged
# is seen here too. Answers only to the hosts of MLFLOW_SERVER_ALLOWED_HOSTS; runs no jobs, sends no telemetry.
set -eu
umask 077
mkdir -p "$CROSSLIFT_HOME/mlflow"
python -c "from pipeline.folders import Home; from pipeline.registry.tracking import make_store; make_store(Home.from_env())"
exec mlflow server --workers 1 --host 0.0.0.0 --port 5000 \
  --backend-store-uri "sqlite:///$CROSSLIFT_HOME/mlflow/mlflow.db" \
  --artifacts-destination "$CROSSLIFT_HOME/mlflow/artifacts"
