"""What the DAG file is wired from: the trigger form, the call of a step, the links of a task. Only here is Airflow."""
