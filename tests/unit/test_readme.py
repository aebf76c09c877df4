"""What the README and the pages say: examples that load, commands that exist, links that lead somewhere, every key."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic.fields import FieldInfo
from typer.testing import CliRunner

from pipeline import config
from pipeline.cli.app import app
from pipeline.errors import ExitCode
from pipeline.scenarios import check_file

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md")))
SETTINGS, OPERATE = ROOT / "docs" / "scenarios.md", ROOT / "docs" / "operate.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MODELS = {
    name: model
    for name, model in vars(config).items()
    if isinstance(model, type) and issubclass(model, config.Config)
    if model not in {config.Config, config.TaskConfig, config.ModelConfig, config.LabelConfig}  # which others build on
    if not issubclass(model, config.Settings)  # what a step gets of a scenario; no user writes it
}


def blocks(language: str) -> Iterator[tuple[Path, str]]:
    """Give every fenced block of a language, with its page."""
    for page in PAGES:
        for found, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if found == language:
                yield page, text


EXAMPLES = [(page.name, text) for page, text in blocks("yaml") if text.startswith("name:")]


def commands() -> Iterator[str]:
    """Give every `crosslift ...` line of the shell blocks and of the running text."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shell = [line for found, body in BLOCK.findall(text) if found == "sh" for line in body.splitlines()]
        inline = re.findall(r"`((?:\.venv/bin/)?crosslift [^`]+)`", BLOCK.sub("", text).replace("\n", " "))
        for line in (*shell, *inline):
            if match := re.match(r"(?:\w+=\S+ )*(?:\.venv/bin/)?crosslift ([^#|>]+)", line):
                yield match[1].strip()


def value_text(schema: dict[str, Any]) -> str:
    """Say in a few words what a JSON Schema allows."""
    if choices := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(value_text(choice) for choice in choices))
    if several := schema.get("prefixItems"):
        return f"list of {', '.join(map(value_text, several))}"
    if schema.get("type") == "array":
        least = ", at least one" if schema.get("minItems") == 1 else ""
        return f"list of {value_text(schema['items'])}{least}"
    words = schema.get("enum") or [schema[key].rpartition("/")[2] for key in ("$ref", "const") if key in schema]
    if words:
        return ", ".join(f"`{word}`" for word in words)
    values = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), {})
    if {"anyOf", "oneOf"} & values.keys() or values.get("type") in ("number", "object"):
        return f"mapping of {value_text(values)}"
    bounds = [f"{sign} {schema[key]:,}" for key, sign in _SIGNS.items() if key in schema]
    return ", ".join(["name" if "pattern" in schema else _TYPES[schema["type"]], *bounds])


_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "mapping of texts",
    "null": "nothing",
}
_SIGNS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}


def default_text(field: FieldInfo) -> str:
    """Say what a key is when it is left out."""
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, config.Config):
        return "its own defaults"
    return f"`{json.dumps(value)}`"


def expected_rows(model: type[config.Config]) -> dict[str, tuple[str, str]]:
    """Read key -> (value, default) from the class itself; what it inherits stands in its parent's table."""
    schema = model.model_json_schema(ref_template="{model}")["properties"]
    own = [name for name in model.model_fields if name in model.__annotations__]
    return {name: (value_text(schema[name]), default_text(model.model_fields[name])) for name in own}


def documented_rows() -> dict[str, dict[str, tuple[str, str]]]:
    """Read class -> key -> (value, default) from the tables of docs/scenarios.md."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    current: dict[str, tuple[str, str]] = {}
    for line in SETTINGS.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"^#+ .*\(`(\w+)`\)$", line):
            current = found.setdefault(match[1], {})
        elif match := re.match(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", line):
            current[match[1]] = (match[2].strip(), match[3].strip())
    return found


def test_there_is_something_to_check() -> None:
    """The patterns below find examples, commands and links; a pattern that finds nothing checks nothing."""
    assert {"README.md", "bring-your-data.md"} <= {name for name, _ in EXAMPLES}
    assert len(set(commands())) >= 10
    assert any(LINK.findall(page.read_text(encoding="utf-8")) for page in PAGES)


@pytest.mark.parametrize(("page", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_every_whole_scenario_is_one(page: str, text: str, tmp_path: Path) -> None:
    """A reader who copies an example gets a scenario that `crosslift scenarios check` takes."""
    name = text.split(maxsplit=2)[1]
    (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    assert check_file(tmp_path / f"{name}.yaml").name == name


def printed() -> Iterator[str]:
    """Give every `crosslift ...` line of the shell blocks, whole."""
    for _, body in blocks("sh"):
        for line in body.splitlines():
            if match := re.match(r"(?:\w+=\S+ )*(?:\.venv/bin/)?crosslift ([^#|>]+)", line):
                yield match[1].strip()


@pytest.mark.parametrize("line", sorted(set(printed())))
def test_every_printed_command_is_understood(line: str) -> None:
    """Its arguments are all there, and each value is of its option's type; nothing is left over."""
    command: Any = typer.main.get_command(app)
    words = shlex.split(line)[len(path_of(line)) :]
    for word in path_of(line):
        command = command.commands[word]
    assert command.make_context(line, words).args == []


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_exists(line: str) -> None:
    """The words up to the first argument name a command, and it has every option that the text gives it."""
    words = shlex.split(line)
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands") and not words[0].isupper():
        assert words[0] in command.commands, line
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known, line
    assert CliRunner().invoke(app, [*path_of(line), "--help"]).exit_code == 0


def path_of(line: str) -> list[str]:
    """Give the words that name the command."""
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    for word in shlex.split(line):
        if not hasattr(command, "commands") or word not in command.commands:
            break
        command = command.commands[word]
        path.append(word)
    return path


def test_every_make_target_exists() -> None:
    """`make demo` and the like stand in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        named = re.findall(r"(?:^|`)(?:\w+=\S+ )*make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(named) <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link names a file of the repository."""
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_every_setting_is_documented_as_it_is() -> None:
    """docs/scenarios.md has each class, each key, what it may be and what it is when left out."""
    found = documented_rows()
    assert set(found) == set(MODELS)
    for name, model in MODELS.items():
        assert found[name] == expected_rows(model), name


def test_every_variable_is_documented() -> None:
    """Each variable of our own that the code reads stands in the table of docs/operate.md, and no other one does."""
    sources = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "dags").glob("*.py")]
    read = {name for path in sources for name in re.findall(r"CROSSLIFT_[A-Z_]+", path.read_text(encoding="utf-8"))}
    rows = re.findall(r"^\| (`CROSSLIFT_.+?) \|", OPERATE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == read


def test_every_exit_code_is_documented() -> None:
    """The table of docs/operate.md has the codes of `pipeline.errors`."""
    text = OPERATE.read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == set(ExitCode)
