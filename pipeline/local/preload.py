"""`airflow` with the libraries that training tasks need already loaded.

LocalExecutor forks its workers from the scheduler, and a task is a fork of a worker. What the scheduler has loaded
costs a task nothing: without this every training task would spend seconds on importing PyTorch and Lightning.
"""

import gc
import importlib
import runpy
import sys
from contextlib import suppress

LIBRARIES = ("pandas", "pyarrow.parquet", "scipy.sparse", "torch", "pytorch_lightning", "implicit.als")


def main() -> None:
    """Load the libraries, then be `airflow` with the arguments that follow."""
    for library in LIBRARIES:
        with suppress(ImportError):  # the task that needs it says so better
            importlib.import_module(library)
    gc.freeze()  # no collection touches these pages, so that they stay shared with the workers
    sys.argv[0] = "airflow"
    runpy.run_module("airflow", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
