"""A first scenario for a folder of files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.data.looking.drafting import Draft
from pipeline.data.looking.files import Looked, look
from pipeline.data.looking.labelling import draft_labelling, is_labelled
from pipeline.data.looking.ranking import draft_ranking, is_catalogue, is_log
from pipeline.data.readers.files import LocalFile, find_files
from pipeline.errors import CrossliftError, DataError


@dataclass(frozen=True)
class Start:
    """A scenario as text, and what is told about it."""

    text: str
    used: tuple[str, ...]
    unused: dict[str, str]  # file -> why
    open_questions: tuple[str, ...]


def start(root: Path, folder: str, name: str) -> Start:
    """A scenario of the files in a folder.

    Args:
        root: What the paths in it are relative to, resolved.
        folder: Below it; "." is the root itself.
        name: Of the scenario.

    Raises:
        DataError: there is no file in it that can be read, or nothing that a scenario could be made of.
    """
    looked, unused = list[Looked](), dict[str, str]()
    for path in find_files(root, folder):
        file = LocalFile(path, root)
        try:
            looked.append(look(file, file.shown))
        except CrossliftError as error:
            unused[file.shown] = str(error).removeprefix(f"{file.shown}: ")
    draft = _drafted(looked, folder, unused)
    for one in looked:
        if one.shown not in draft.files:
            unused[one.shown] = "no users and items, no label, and no table of items of a domain"
    told = [
        "Written by `crosslift init`, which looked at the files and guessed. Read each comment; change what is wrong.",
        f"Paths are relative to CROSSLIFT_DATA, {root} when this was written.",
        *(f"Not used: {shown}: {why.splitlines()[0]}" for shown, why in unused.items()),
    ]
    return Start(draft.text(name, told), tuple(draft.files), unused, tuple(draft.open_questions))


def _drafted(looked: Sequence[Looked], folder: str, unused: dict[str, str]) -> Draft:
    logs = [file for file in looked if is_log(file)]
    labelled = [file for file in looked if is_labelled(file)]
    if logs:
        return draft_ranking(logs, [file for file in looked if is_catalogue(file)])
    if labelled:
        label = labelled[0].profile.label
        return draft_labelling([file for file in labelled if file.profile.label == label])
    seen = [f"{file.shown}: {', '.join(one.name for one in file.profile.columns)}" for file in looked]
    raise DataError(
        f"{folder}: no file has columns that seem to be users and items, or a label to predict, so that no scenario "
        "can be guessed. `crosslift look` shows what is in a file; a scenario is written by hand as "
        "docs/bring-your-data.md says. Seen were:\n"
        + "\n".join([*seen, *(f"{shown}: {why.splitlines()[0]}" for shown, why in unused.items())])
    )
