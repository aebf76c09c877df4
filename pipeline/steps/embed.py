"""Turn texts and pictures into vectors of pretrained encoders; one that was ever encoded is looked up."""

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import EmbedSettings, Encoded
from pipeline.errors import StorageError
from pipeline.integrity import DAMAGED, damage
from pipeline.results import EMBED, INGEST, PREPARE, EmbedFacts, StepResult
from pipeline.runs.fingerprint import code_hash
from pipeline.runs.run import Folder, Run, embedded
from pipeline.runs.transaction import transact

if TYPE_CHECKING:
    from pipeline.data.embeddings import Embeddings

log = logging.getLogger(__name__)

_PART = 2048  # texts or pictures that are encoded before they are kept: what a killed process loses
# type of feature -> the code that says what a vector of it is
READS: dict[Encoded, str] = {"text": "pipeline.models.pretrained", "image": "pipeline.models.image_encoder"}


def embed(run: Run) -> dict[str, StepResult[EmbedFacts]]:
    """Publish one folder for each domain and encoder: the vectors of its different texts, or pictures.

    Raises:
        UserError: the encoder is not installed, or cannot be read.
        MissingResultError: `prepare` did not succeed in this run.
    """
    from pipeline.data.encoder_folders import fingerprint_of

    scenario, made = run.scenario, {}
    wanted = [(kind, name) for kind in scenario.encoders for name in scenario.domains]
    for kind, name in wanted:
        run.forget(EMBED, embedded(name, kind))
    for kind, name in wanted:
        encoder = scenario.encoders[kind]
        settings = EmbedSettings.of(
            scenario, domain=name, task=scenario.task.as_rows(), reads=kind, encoder=encoder,
            fingerprint=fingerprint_of(kind, encoder), way=code_hash(READS[kind]),
        )  # fmt: skip
        inputs = {"ingested": run.input(INGEST, name), "prepared": run.input(PREPARE, name)}
        lane = embedded(name, kind)
        made[lane] = transact(run, EMBED, build, settings, inputs, lane)
    return made


def build(settings: EmbedSettings, inputs: Mapping[str, Folder], folder: Path, work: Path) -> EmbedFacts:
    """Write `vectors.safetensors`: those that any earlier folder of this step holds, and the rest, encoded now.

    What an earlier folder holds is no input: whichever it comes from, the vector of a text or picture is one for an
    encoder and the code that reads it.
    """
    from pipeline.data.embeddings import FILE, Embeddings, key_of
    from pipeline.data.pictures import FILE as PICTURES
    from pipeline.data.pictures import read_pictures
    from pipeline.models.loaded import LOADERS
    from pipeline.tasks.contents import contents_of

    values = contents_of(settings.task, inputs["prepared"].path, settings.domain, settings.reads)
    named = {key_of(value): value for value in values}
    found = list(_known(settings, named.keys(), folder, work))
    there = {key for one in found for key in one.keys}
    rest = sorted((key for key in named if key not in there), key=lambda key: (len(named[key]), key))
    log.info("%d different contents, %d of them not yet encoded", len(named), len(rest))
    if rest or not found:
        encoder = LOADERS[settings.reads](settings.encoder)
        work.mkdir(parents=True, exist_ok=True)
        for begin in range(0, max(len(rest), 1), _PART):
            new = [named[key] for key in rest[begin : begin + _PART]]
            part = encoder.encode(new, read_pictures(inputs["ingested"].path / PICTURES, new))
            if rest:
                part.write(work / f"{part.keys[0]}.{FILE}", settings.way)
                log.info("%d of %d encoded", min(begin + _PART, len(rest)), len(rest))
            found.append(part)
    every = Embeddings.under(found)
    every.write(folder / FILE, settings.way)
    read = int(every.parts.sum())
    unknown = round(int(every.unknown.sum()) / read, 4) if read else 0.0
    return EmbedFacts(reads=settings.reads, contents=len(named), cut=int(every.cut.sum()), unknown=unknown)


def _known(settings: EmbedSettings, wanted: Collection[str], folder: Path, work: Path) -> "Iterator[Embeddings]":
    """What earlier folders hold of what is wanted, the newest first, and what a killed try of this one left."""
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
