"""What a lane says of one row, in words, to be shown beside what happened."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """One thing that is said of a row, or that happened; the same thing has the same `key` in both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    text: str


Answers = tuple[Answer, ...]  # of one row, the first first
