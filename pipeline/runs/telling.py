"""What a step did, in a few lines for the log of its task: how it came by its result, rows, metrics, and why."""

import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from pipeline.folders import META, read_json
from pipeline.registry.pages import pages
from pipeline.results import (
    ADAPT,
    AUDIT,
    BASELINE,
    BLEND,
    CLEAN,
    EMBED,
    INGEST,
    PACKAGE,
    PREPARE,
    PRETRAIN,
    PROMOTE,
    REJUDGED,
    REPORT,
    TUNE,
    VALIDATE,
    VERDICT,
    AuditFacts,
    CleanFacts,
    EmbedFacts,
    IngestFacts,
    LaneFacts,
    PackageFacts,
    PrepareFacts,
    PromoteFacts,
    ReportFacts,
    StepResult,
    TrainFacts,
    ValidateFacts,
    VerdictFacts,
)
from pipeline.runs.run import Run
from pipeline.tasks.words import words_of

WIDTH = 115  # of a line: pages of logs break none

log = logging.getLogger(__name__)

_ENCODED = {"text": "texts", "image": "pictures"}


def tell(run: Run, result: StepResult[Any]) -> None:
    """Write to the log what a step did, and as warnings what a person should know before believing it."""
    for line in told(run, result):
        for part in wrap(line, WIDTH, drop_whitespace=False, break_long_words=False, subsequent_indent="    "):
            log.info("%s", part.rstrip())
    for warning in result.facts.warnings:
        log.warning("%s", warning)


def told(run: Run, result: StepResult[Any]) -> Iterator[str]:
    """Say how a result came about, and what is in it."""
    yield f"{result.step} {result.name}".rstrip() + f": {_how(run, result)}"
    for line in LINES[result.step](run, result.facts):
        yield f"  {line}"
    if page := PAGES.get(result.step):
        yield f"  {page[0]}: {run.place(result) / getattr(result.facts, page[1])}"


def _how(run: Run, result: StepResult[Any]) -> str:
    """Whether a result was computed or found, with what it cost and, if found, which run had computed it."""
    meta = read_json(run.place(result) / META)
    if meta["step"] != result.step:  # it made no folder of its own, and changed what lies elsewhere
        return "nothing was to be done" if result.reused else "done"
    cost = meta["cost"]
    if not result.reused:
        return (
            f"computed in {cost['wall_seconds']:.1f} s ({cost['cpu_seconds']:.1f} s of CPU, "
            f"at most {cost['peak_mebibytes']:.0f} MiB of memory)"
        )
    when = datetime.fromtimestamp(meta["finished"], UTC)
    return (
        f"reused, because tables, settings and code are the same: run {meta['run_id']} computed it in "
        f"{cost['wall_seconds']:.1f} s, {when:%Y-%m-%d %H:%M} UTC"
    )


def _ingest(_run: Run, facts: IngestFacts) -> Iterator[str]:
    yield ", ".join(
        [f"{facts.rows:,} rows", *(f"{count:,} {what.replace('_', ' ')}" for what, count in facts.counted.items())]
    )
    if facts.unreadable:
        yield f"rows with a value that could not be read: {_counted(facts.unreadable)}"


def _clean(_run: Run, facts: CleanFacts) -> Iterator[str]:
    for name, table in facts.tables.items():
        rules = f"; in quarantine: {_counted(table.rules)}" if table.rules else ""
        yield f"{name}: {table.rows_read:,} rows read, {table.rows:,} kept{rules}"


def _validate(_run: Run, facts: ValidateFacts) -> Iterator[str]:
    failed = {severity: count for severity, count in facts.failed.items() if count}
    yield f"{facts.checks:,} checks, {_counted(failed) if failed else 'all of them'} {'failed' if failed else 'passed'}"
    for finding in facts.findings:
        yield f"Warning: {finding}"


def _prepare(_run: Run, facts: PrepareFacts) -> Iterator[str]:
    yield f"rows by part: {_counted(facts.rows)}; training may use {facts.kept:,}"
    if weightless := facts.known.get("weightless"):
        yield f"{weightless:,} of these have the weight 0: they are known, and nothing is learnt from them"
    if dropped := {reason: count for reason, count in facts.dropped.items() if count}:
        yield f"dropped: {_counted(dropped)}"


def _audit(_run: Run, facts: AuditFacts) -> Iterator[str]:
    kinds = f" ({_counted(facts.kinds)})" if facts.marked else ""
    yield f"{facts.test_rows:,} test rows of the target, {facts.marked:,} of them marked as leaks{kinds}"


def _embed(_run: Run, facts: EmbedFacts) -> Iterator[str]:
    cut = f"; of {facts.cut:,} the end was not read, as they are longer than the encoder reads" if facts.cut else ""
    yield f"{facts.contents:,} different {_ENCODED[facts.reads]}{cut}"


def _train(_run: Run, facts: TrainFacts) -> Iterator[str]:
    if facts.taught_by:
        yield f"{facts.taught_by} is what the source taught; no row of one is at hand"
        return
    if not facts.epochs:
        yield "nothing to train: no strategy starts from it"
        return
    best = "" if facts.valid is None else f", up to the best one on validation rows ({facts.valid:.4g})"
    yield f"{facts.epochs} epochs{best}"
    if facts.told:
        yield ", ".join(f"{name} {_short(value)}" for name, value in facts.told.items())


def _lane(run: Run, facts: LaneFacts) -> Iterator[str]:
    words = words_of(run.scenario.task)
    values = (f"{words.name(metric)} {words.number(value)}{words.mark}" for metric, value in facts.valid.items())
    yield f"on the validation rows of {facts.valid_domain}: {', '.join(values)}"
    if facts.settings:
        yield f"chosen by them: {', '.join(f'{key} {_short(value)}' for key, value in facts.settings.items())}"
    if facts.mixture:
        for group, share in facts.mixture.groups:
            yield f"{facts.mixture.by}, {group}: {facts.mixture.told(share)}"
    for what, value in facts.evidence.items():
        yield f"LogME on the target's labelled rows, before anything is tuned ({what}): {value:.4g}"
    if facts.moved:
        layers = (f"{layer} {value:.2g}" for layer, value in facts.moved.items())
        yield f"moved from the start, relative to it: {', '.join(layers)}"


def _verdict(_run: Run, facts: VerdictFacts) -> Iterator[str]:
    yield f"verdict: {facts.verdict} ({facts.candidate}). {facts.reason}"
    if facts.failed:
        yield f"failed lanes: {', '.join(facts.failed)}"


def _report(_run: Run, facts: ReportFacts) -> Iterator[str]:
    yield f"of the verdict {facts.verdict} ({facts.candidate})"


def _package(_run: Run, facts: PackageFacts) -> Iterator[str]:
    yield f"{facts.lane}, as it is registered and served"


def _promote(_run: Run, facts: PromoteFacts) -> Iterator[str]:
    yield f"outcome: {facts.outcome}. {facts.reason}"
    yield f"{facts.model} version {facts.version} ({facts.lane}), {facts.alias or 'no alias'}; {_serving(facts)}"
    found = pages(facts.experiment, facts.logged, facts.model, facts.version)
    yield from (f"{title}: {address}" for title, address in found.items())


def _serving(facts: PromoteFacts) -> str:
    return f"version {facts.serving} serves" if facts.serving is not None else "nothing serves"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):  # costs by class
        return f"of {len(value)} classes"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())


# step -> title of its page, fact with the path
PAGES = {VALIDATE.name: ("Data Docs", "data_docs"), REPORT.name: ("Report", "html")}
LINES: dict[str, Callable[[Run, Any], Iterator[str]]] = {
    INGEST.name: _ingest,
    CLEAN.name: _clean,
    VALIDATE.name: _validate,
    PREPARE.name: _prepare,
    AUDIT.name: _audit,
    EMBED.name: _embed,
    PRETRAIN.name: _train,
    ADAPT.name: _train,
    TUNE.name: _lane,
    BASELINE.name: _lane,
    BLEND.name: _lane,
    VERDICT.name: _verdict,
    REJUDGED.name: _verdict,
    REPORT.name: _report,
    PACKAGE.name: _package,
    PROMOTE.name: _promote,
}
