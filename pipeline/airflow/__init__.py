"""What the DAG file is wired from: the trigger form, the call of a step, the links of a task. Only here is Airflow.

Whoever imports it meets a wrong Airflow first: as an import error of the DAG file, before anything runs.
"""

from importlib.metadata import requires, version

from packaging.requirements import Requirement

from pipeline.errors import ConfigError


def check_airflow() -> None:
    """Nothing, where Airflow is of a version that this one was made for.

    Raises:
        ConfigError: it is not; the message says which is there and which are wanted.
    """
    wanted = next(one for line in requires("crosslift") or () if (one := Requirement(line)).name == "apache-airflow")
    if not wanted.specifier.contains(found := version("apache-airflow-core"), prereleases=True):
        raise ConfigError(
            f"crosslift {version('crosslift')} needs apache-airflow {wanted.specifier}, and this is {found}: its DAGs "
            "are not made. Install one of these, or the crosslift that was made for yours."
        )


check_airflow()
