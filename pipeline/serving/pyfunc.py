"""The predictor as MLflow runs it: a script that is logged as code, so that loading it unpickles nothing."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from pipeline.errors import CrossliftError
from pipeline.integrity import refuse_damaged
from pipeline.serving.package import ServedModel


class Predictor(PythonModel):
    """Answers to requests; what goes in and out is told by the rows of its task (`pipeline/rows/`)."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the package, after the files around it were held against what was logged.

        Files that were not logged are left alone: MLflow and Python add some (`registered_model_meta`, `__pycache__`).
        """
        package = Path(context.artifacts["package"])
        refuse_damaged(package.parents[1], "MLflow model", beyond=False)
        self.model = ServedModel.read(package)

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer each row.

        Raises:
            MlflowException: the request is not what is expected. Of another type `mlflow models serve` would tell
                nobody what is wrong.
        """
        del context
        try:
            return self.model.answer(model_input, params)
        except CrossliftError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


set_model(Predictor())
