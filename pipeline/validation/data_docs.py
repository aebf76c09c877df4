"""Data Docs: what was checked and found, as one static page without scripts, outside hosts or unescaped values.

Great Expectations' own site prints cell values as HTML and loads its styles from other hosts; see
docs/decisions/0004-data-docs.md.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from jinja2 import Environment

from pipeline.validation.checking import Outcome

_SHOWN_LENGTH = 80
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TEMPLATE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ page.policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Data Docs: {{ page.scenario }}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --warn: #8a5a00; --good: #1b6e3a; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --warn: #ffc46b; --good: #7ddc9c; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1, p { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: .5rem 0 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td { overflow-wrap: break-word; }  /* a word is broken only where it is longer than a line; a value anywhere */
td code { overflow-wrap: anywhere; }
td.says { min-width: 14rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.failed.critical { color: var(--bad); font-weight: 600; }
.failed.warning { color: var(--warn); font-weight: 600; }
.passed { color: var(--good); }
code { background: #8882; padding: 0 .2rem; }
@media (max-width: 45rem) {  /* a row becomes a block, and each cell says what it is */
  body { margin: 1rem auto; }
  table, tbody, tr, td { display: block; }
  thead { display: none; }
  tr { border-bottom: 2px solid var(--line); padding: .4rem 0; }
  td, td.number { text-align: left; border: 0; padding: .15rem 0; overflow-wrap: anywhere; }
  td::before { content: attr(data-label); display: block; font-size: .8rem; font-weight: 400; }
  td::before { color: CanvasText; opacity: .7; }
}
</style>
</head>
<body>
<h1>Data Docs: {{ page.scenario }}</h1>
<p>{{ page.title }}. Verdict: <strong class="{{ 'failed critical' if page.refused else 'passed' }}">
{{ 'refused' if page.refused else 'passed' }}</strong>,
{{ page.outcomes | length }} expectations checked with Great Expectations {{ page.version }}.
Values of personal columns ({{ page.personal | join(', ') or 'none' }}) are never shown.</p>

<h2>Rows</h2>
<div class="scroll"><table>
<thead><tr><th>domain</th><th>table</th><th class="number">rows read</th><th class="number">rows kept</th>
<th>quarantined, by rule</th></tr></thead>
<tbody>
{% for row in page.volumes %}<tr>
<td data-label="domain">{{ row.domain }}</td><td data-label="table">{{ row.table }}</td>
<td class="number" data-label="rows read">{{ "{:,}".format(row.rows_read) }}</td>
<td class="number" data-label="rows kept">{{ "{:,}".format(row.rows) }}</td>
<td class="says" data-label="quarantined, by rule">
{% for rule, count in row.rules.items() %}{{ rule }}: {{ "{:,}".format(count) }}
{%- for value in row.examples.get(rule, ()) %} <code>{{ value }}</code>{% endfor %}<br>
{% else %}none{% endfor %}</td></tr>
{% endfor %}</tbody>
</table></div>

{% for heading, outcomes in page.sections.items() %}
<h2>{{ heading }}</h2>
<div class="scroll"><table>
<thead><tr><th>result</th><th>rule</th><th>column</th><th>expected</th><th>observed</th></tr></thead>
<tbody>
{% for outcome in outcomes %}<tr>
<td data-label="result" class="{{ 'passed' if outcome.success else 'failed ' ~ outcome.check.severity }}">
{{ 'passed' if outcome.success else 'failed' }} ({{ outcome.check.severity }})</td>
<td data-label="rule">{{ outcome.check.rule }}</td>
<td data-label="column">{{ outcome.check.columns | join(', ') or 'whole table' }}</td>
<td class="says" data-label="expected">{{ outcome.check.expected }}</td>
<td class="says" data-label="observed">
{{ outcome.observed }}{% for value in outcome.examples %} <code>{{ value | shown }}</code>{% endfor %}
{%- if not outcome.success %}<br>To do: {{ outcome.check.remedy }}.{% endif %}</td></tr>
{% endfor %}</tbody>
</table></div>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Volume:
    """Rows of one table before and after the row rules; `examples` by rule, none of a personal column."""

    domain: str
    table: str
    rows_read: int
    rows: int
    rules: Mapping[str, int]
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def shown(value: Any) -> str:
    """A value as visible text: control and direction characters spelt out, long values cut."""
    text = str(value)
    text = text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def rule_examples(
    removed: pa.Table, columns: Mapping[str, str], personal: Collection[str], count: int = 3
) -> dict[str, tuple[str, ...]]:
    """Up to `count` values that each row rule removed, as visible text; none where the rule's column is personal.

    Args:
        removed: The rows in quarantine, with the column `rule`.
        columns: Rule -> the column it looks at.
        personal: Columns whose values must not appear.
        count: Values a rule.
    """
    frame = removed.to_pandas()
    return {
        rule: tuple(shown(value) for value in frame.loc[frame["rule"] == rule, column].head(count))
        for rule, column in columns.items()
        if column in frame and column not in personal and (frame["rule"] == rule).any()
    }


def write_data_docs(
    folder: Path,
    scenario: str,
    title: str,
    outcomes: Collection[Outcome],
    volumes: Collection[Volume],
    personal: Collection[str],
) -> Path:
    """Write `index.html` to a folder and return its path; every value is escaped by the template engine."""
    from importlib.metadata import version

    sections: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda outcome: outcome.success):  # what failed stands first
        sections.setdefault(f"{outcome.table} of {outcome.domain}", []).append(outcome)
    page = {
        "policy": _POLICY,
        "scenario": scenario,
        "title": title,
        "refused": any(not outcome.success and outcome.check.severity == "critical" for outcome in outcomes),
        "outcomes": outcomes,
        "version": version("great-expectations"),
        "personal": sorted(personal),
        "volumes": [asdict(volume) for volume in volumes],
        "sections": sections,
    }
    engine = Environment(autoescape=True)
    engine.filters["shown"] = shown
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    path.write_text(engine.from_string(_TEMPLATE).render(page=page), encoding="utf-8")
    return path
