#!/bin/sh
# Before Airflow starts: its database, and the login of its one user. Airflow opens the file of passwords for writing, so
# it lies in the home and is no secret of compose, which would be read-only.
set -eu
umask 077
airflow db migrate
python -c 'import json, os; print(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))' \
  > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
