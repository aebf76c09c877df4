"""Turn the texts of each domain into vectors of a pretrained encoder; a text that was ever encoded is looked up."""

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import EmbedSettings
from pipeline.errors import StorageError
from pipeline.integrity import DAMAGED, damage
from pipeline.results import EMBED, PREPARE, EmbedFacts, StepResult
from pipeline.runs.fingerprint import code_hash
from pipeline.runs.run import Folder, Run
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.data.embeddings import Embeddings

log = logging.getLogger(__name__)

_PART = 2048  # texts that are encoded before they are kept: what a killed process loses
_READS = "pipeline.models.pretrained"  # the code that says what a text's vector is


def embed(run: Run) -> dict[str, StepResult[EmbedFacts]]:
    """Publish one folder a domain: the vectors of its different texts.

    Raises:
        UserError: the encoder is not installed, or cannot be read.
        MissingResultError: `prepare` did not succeed in this run.
    """
    from pipeline.data.encoder_folders import fingerprint_of

    scenario, made = run.scenario, {}
    for name in scenario.domains:
        run.forget(EMBED, name)
    assert scenario.encoder is not None
    fingerprint = fingerprint_of(scenario.encoder)
    for name in scenario.domains:
        settings = EmbedSettings.of(
            scenario, domain=name, task=scenario.task.as_rows(), fingerprint=fingerprint, way=code_hash(_READS)
        )
        made[name] = transact(run, EMBED, build, settings, {"prepared": run.input(PREPARE, name)}, name)
    return made


def build(settings: EmbedSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> EmbedFacts:
    """Write `vectors.safetensors`: those that any earlier folder of this step holds, and the rest, encoded now.

    What an earlier folder holds is no input: whichever it comes from, the vector of a text is one for an encoder and
    the code that reads it.
    """
    from pipeline.data.embeddings import FILE, Embeddings, key_of
    from pipeline.models.pretrained import loaded
    from pipeline.tasks.texts import texts_of

    texts = {key_of(text): text for text in texts_of(settings.task, inputs["prepared"].path, settings.domain)}
    found = list(_known(settings, texts.keys(), folder, work))
    there = {key for one in found for key in one.keys}
    rest = sorted((key for key in texts if key not in there), key=lambda key: (len(texts[key]), key))
    log.info("%d different texts, %d of them not yet encoded", len(texts), len(rest))
    if rest or not found:
        encoder = loaded(settings.encoder)
        work.mkdir(parents=True, exist_ok=True)
        for begin in range(0, max(len(rest), 1), _PART):
            part = encoder.encode([texts[key] for key in rest[begin : begin + _PART]])
            if rest:
                part.write(work / f"{part.keys[0]}.{FILE}", settings.way)
                log.info("%d of %d encoded", min(begin + _PART, len(rest)), len(rest))
            found.append(part)
    every = Embeddings.under(found)
    every.write(folder / FILE, settings.way)
    read = int(every.parts.sum())
    return EmbedFacts(
        texts=len(texts), cut=int(every.cut.sum()), unknown=round(int(every.unknown.sum()) / read, 4) if read else 0.0
    )


def _known(settings: EmbedSettings, wanted: Collection[str], folder: Path, work: Path) -> "Iterator[Embeddings]":
    """What earlier folders hold of the wanted texts, the newest first, and what a killed try of this one left."""
    from pipeline.data.embeddings import FILE, Embeddings

    left = set(wanted)
    folders = [one for one in folder.parent.iterdir() if not one.name.startswith(".") and one.suffix != DAMAGED]
    files = [one / FILE for one in sorted(folders, key=lambda one: one.stat().st_mtime, reverse=True)]
    for file in (*sorted(work.glob(f"*.{FILE}")), *files):
        if not left:
            return
        if file.parent != work and damage(file.parent):
            continue  # who asks for that folder is told
        try:
            kept = Embeddings.read(file, settings.way)
        except StorageError:
            continue
        if kept and kept.encoder == settings.fingerprint and (mine := sorted(left & set(kept.keys))):
            left -= set(mine)
            yield kept.take(mine)
