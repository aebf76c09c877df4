"""A file of YAML into a mapping; whatever the file holds, it costs little and ends in a value or one message."""

from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import ConfigError

MOST_BYTES = 100_000  # a scenario has some thousand
MOST_VALUES = 100_000  # with those that aliases repeat
MOST_LEVELS = 50  # of brackets or indentation; thousands would be too much for the stack


def read_mapping(path: Path) -> dict[Any, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file cannot be read, is too large, is no YAML, or is another value than a mapping.
    """
    text = _text(path)
    try:
        if _levels(text) > MOST_LEVELS:
            raise ConfigError(f"{path}: expected at most {MOST_LEVELS} levels of brackets or indentation, got more.")
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None and _values(node, {}) > MOST_VALUES:
            raise ConfigError(f"{path}: expected at most {MOST_VALUES:,} values, got more, as aliases repeat them.")
        value = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}{line}: expected YAML ({getattr(error, 'problem', error)}).") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: expected a mapping of keys to values, got {type(value).__name__}.")
    return value


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
            raise ConfigError(f"{path}: expected a file, got a folder, a pipe or a device.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(f"{path}: expected at most {MOST_BYTES:,} bytes, got more; is this a scenario?")
        return data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: expected a readable UTF-8 file ({error}).") from error


_SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same in C: ten times as fast


class _Loader(_SafeLoader):  # type: ignore[misc]  # one of two classes
    """Says of every value that Python cannot make where it stands: 2026-02-30, a number of 5,000 digits."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                str(value)  # 5,000 digits, also of a hexadecimal number, cannot be told in any message
            return value
        except yaml.YAMLError:
            raise
        except Exception as error:
            problem = "no such number, date or the like; write it in quotes if it is a text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


def _levels(text: str) -> int:
    """How deep values lie in each other, counted no further than needed."""
    level = deepest = 0
    for event in yaml.parse(text, Loader=_SafeLoader):
        level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        deepest = max(deepest, level)
        if deepest > MOST_LEVELS:
            break
    return deepest


def _values(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node holds, those behind aliases counted each time; more than allowed if it holds itself."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1
        parts = node.value if isinstance(node, yaml.CollectionNode) else []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in parts for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]
