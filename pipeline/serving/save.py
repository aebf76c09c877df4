"""A package as an MLflow model folder: code, signature, input example and stated requirements."""

import shutil
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from mlflow.types.schema import AnyType, Array

import pipeline
from pipeline.errors import CrossliftError
from pipeline.folders import MANIFEST, manifest_of, write_json
from pipeline.models.load import load_ranker
from pipeline.serving.package import ServedModel, read_example
from pipeline.tasks.serving import serving_of

# What loading and predicting import. Exact versions: the same input gives the same output later.
_NEEDS = ("implicit", "mlflow", "numpy", "pandas", "pyarrow", "pydantic", "safetensors", "scipy")


def save_predictor(package: Path, folder: Path, model: Model) -> None:
    """Write an MLflow model folder that carries a package and the code that serves it, and a manifest of all of it.

    Args:
        package: The published package.
        folder: Where to write; must not exist.
        model: The identity that MLflow gave the model; is filled.

    Raises:
        CrossliftError: MLflow did not keep the signature.
    """
    example = read_example(package)
    served = ServedModel.read(package)
    params = serving_of(served.info.task).params
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # hints for people who write models by hand
        mlflow.pyfunc.save_model(
            path=str(folder),
            mlflow_model=model,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"package": str(package)},
            code_paths=[str(Path(pipeline.__file__).parent)],
            signature=signature(served.served.requests, params, example["answer"]),
            input_example=_example(example),
            pip_requirements=requirements(load_ranker(package).needs),
        )
    for path in folder.rglob("*"):
        path.chmod(path.stat().st_mode & 0o700)  # copies of code have the modes of the code
    if Model.load(str(folder)).signature is None:
        raise CrossliftError(f"{folder}: MLflow lost the model's signature, so the model was not registered.")
    for compiled in folder.rglob("__pycache__"):
        shutil.rmtree(compiled)  # by whoever loads it, and anew
    write_json(folder / MANIFEST, manifest_of(folder))


def signature(
    requests: Mapping[str, str], params: Mapping[str, int], answer: Sequence[Mapping[str, Any]]
) -> ModelSignature:
    """Describe the columns and parameters of a request, and the columns of an answer as one is."""
    anything: Any = AnyType()  # type: ignore[no-untyped-call]  # MLflow makes no text of an id that is a number
    # Nor does it look into lists: of texts, one that is missing would cut all others to their first letter.
    kinds = {"any": anything, "texts": Array(anything), "picture": anything}
    inputs: list[Any] = [ColSpec(kinds[kind], name, required=False) for name, kind in requests.items()]
    outputs: list[Any] = [
        ColSpec(_type_of([row[name] for row in answer]), name, required=all(row[name] is not None for row in answer))
        for name in answer[0]
    ]
    specs = [ParamSpec(name, DataType.long, value) for name, value in params.items()]
    known: Any = ParamSchema(specs) if specs else None
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs), params=known)


def _example(example: Mapping[str, Any]) -> Any:
    requests = pd.DataFrame(example["requests"])
    return (requests, example["params"]) if example["params"] else requests


def _type_of(values: Sequence[Any]) -> DataType:
    """The type of a column of an answer: whole numbers, numbers, else texts."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int) for value in known):
        return DataType.long
    return DataType.double if known and all(isinstance(value, int | float) for value in known) else DataType.string


def requirements(more: tuple[str, ...] = ()) -> list[str]:
    """List the libraries that loading and predicting need, in the versions that gave the example's answer.

    A build's own mark, such as `+cpu`, is left out: indexes differ in what they call it.
    """
    return [f"{name}=={version(name).partition('+')[0]}" for name in sorted((*_NEEDS, *more))]
