"""Proof that a registered model serves: run as a script by a fresh process that has only the model's own code.

    python -I verify.py models:/crosslift.demo/3 3f9a...

Exit code 0 if the model, loaded by its registry name, carries the package of that hash and gives the logged answer for
the logged example.
"""

import json
import sys
from pathlib import Path


def main(uri: str, identity: str) -> None:
    """Load the model, which holds its files against its manifests, and hold its answer against the logged one.

    Raises:
        SystemExit: they differ; the message says where.
    """
    import mlflow
    import pandas as pd

    model = mlflow.pyfunc.load_model(uri)
    folder = Path(mlflow.artifacts.download_artifacts(uri))
    if model.metadata.signature is None:
        sys.exit("the model has no signature")
    if pickles := [
        path.name for path in folder.rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")
    ]:
        sys.exit(f"the model holds files that would have to be unpickled: {', '.join(sorted(pickles))}")
    from pipeline.folders import manifest_hash  # the model's own code

    [example] = folder.glob("artifacts/*/example.json")
    if manifest_hash(example.parent) != identity:
        sys.exit("the package is not the one that was registered")
    logged = json.loads(example.read_text(encoding="utf-8"))
    params = logged["params"] if "params" in logged else {"k": logged["k"]}  # as packages of 0.1 say it
    answer = model.predict(model.metadata.load_input_example(str(folder)), params=params)
    expected = pd.DataFrame(logged["answer"])[list(answer.columns)]
    numbers = [column for column in answer.columns if pd.api.types.is_float_dtype(answer[column])]
    exact = [column for column in answer.columns if column not in numbers]
    left, right = (frame[exact].astype(object).where(frame[exact].notna(), None) for frame in (answer, expected))
    if not left.equals(right):
        unlike = [column for column in exact if not left[column].equals(right[column])]  # users are not named
        sys.exit(f"the answer is not the logged one: {', '.join(unlike) or 'the number of rows'} differ")
    for column in numbers:
        gap = (answer[column] - expected[column]).abs()
        if not (gap <= 1e-5 * (1 + expected[column].abs())).all():
            sys.exit(f"{column} differs from the logged one by up to {gap.max()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
