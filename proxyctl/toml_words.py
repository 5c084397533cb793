"""Mistakes in config.toml in the words of TOML: what was expected, and what was got. Pure.

The words of pydantic are about Python: tuples, dictionaries, instances.
"""

import json
from collections.abc import Mapping
from typing import Any

from proxyctl.problems import printable

_LONGEST = 60
_NUMBER = "expected a number"
_WHOLE = "expected a whole number"
_SWITCH = "expected true or false"
_TABLE = "expected a table: [{path}] with keys below it"
_NAME = "expected a name of a-z, 0-9, '.', '_' and '-', with a letter or digit first (at most 63)"

_EXPECTED: Mapping[str, str] = {
    "bool_parsing": _SWITCH,
    "bool_type": _SWITCH,
    "dataclass_type": _TABLE,
    "dict_type": _TABLE,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than": _NUMBER + " greater than {gt:g}",
    "greater_than_equal": _NUMBER + " of at least {ge:g}",
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_type": _WHOLE,
    "less_than_equal": _NUMBER + " of at most {le:g}",
    "literal_error": "expected {expected}",
    "missing": "this key has to be given",
    "string_too_short": "expected a text that is not empty",
    "string_type": "expected a text in quotes",
    "too_short": "expected a list that is not empty",
}
"""Type of a mistake of pydantic -> what it means to who writes TOML."""

_PATTERNS: Mapping[str, str] = {
    "hard-stop-after": "expected a duration such as 30s, 15m or 1h",
    "email": "expected an address such as you@example.com",
    "directory": "expected a URL such as https://acme.example.com/directory",
    "hook": "expected a path that begins with /",
    "log": "expected the arguments of HAProxy's log, such as /dev/log local0",
}
"""Key -> what its pattern means; everything else with a pattern is a name."""


def mistake(item: Mapping[str, Any]) -> str:
    """Return one of pydantic's errors as a line: where, what is expected, what was got."""
    path = [str(part) for part in item["loc"] if part != "[key]"]
    where = ".".join(path)
    got = "" if item["type"] == "missing" else f", got {toml(item['input'])}"
    return f"{where}: {_expected(item, path)}{got}"


def _expected(item: Mapping[str, Any], path: list[str]) -> str:
    kind = str(item["type"])
    if kind == "tuple_type":
        if path[-1] == "sockets":
            return "expected a list of tables: [[podman.sockets]] with two pairs of brackets"
        return 'expected a list of texts: ["…"]'
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(path[-1], _NAME)
    if kind in _EXPECTED:
        return _EXPECTED[kind].format(path=".".join(path), **item.get("ctx", {}))
    return str(item["msg"]).removeprefix("Value error, ")


def toml(value: object) -> str:
    """Return a value as TOML writes it, shortened."""
    text = _written(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _written(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False))
    return str(value).lower() if isinstance(value, bool) else str(value)
