"""What brings the features of two domains together, and which kinds of label there are to learn from."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.base import Config, Weight
from pipeline.config.labels import SEVERAL

LABELS = frozenset({"items", "classes", "tags", "numbers"}) | SEVERAL  # kinds of label
CLASSES = frozenset({"classes"})
OF_ROWS = LABELS - {"items"}  # of rows that stand for themselves


class Term(Config):
    """What is added to the labelled loss, from the features of source rows and of the target's inputs."""

    @property
    def predicts(self) -> frozenset[str]:
        """Kinds of label that it can stand beside."""
        return LABELS


class CoralTerm(Term):
    """Correlation alignment: equal covariances of the features (Sun and Saenko, 2016)."""

    kind: Literal["coral"]
    weight: Weight = 30.0


class MmdTerm(Term):
    """Maximum mean discrepancy of the features under a mean of Gaussian kernels (Gretton et al., 2012)."""

    kind: Literal["mmd"]
    weight: Weight = 1.0


class DannTerm(Term):
    """Domain-adversarial features (Ganin et al., 2016)."""

    kind: Literal["dann"]
    weight: Weight = 0.1


class CdanTerm(Term):
    """Features that are domain-adversarial together with the classes told, sure rows first (Long et al., 2018)."""

    kind: Literal["cdan"]
    weight: Weight = 0.1

    @property
    def predicts(self) -> frozenset[str]:
        """Classes: one of them a row."""
        return CLASSES


AlignConfig = Annotated[CoralTerm | MmdTerm | DannTerm | CdanTerm, Field(discriminator="kind")]
