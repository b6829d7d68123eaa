"""The I/O config of a node or group, as the options build it (spec: cli.md §4.5)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from alpenhorn.errors import AlpenhornError
from alpenhorn.io import registry

_BAD_STORED = "invalid I/O config in the database (repair it with --io-config)"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def build(config: str | None, variables: Sequence[str], stored: str | None = None) -> str | None:
    """Work out the new I/O config.

    Args:
        config: the option ``--io-config``; None if not given, empty for an empty object.
        variables: the options ``--io-var``, each ``VAR=VALUE``.
        stored: what the Data Index holds; looked at only if `config` is None.

    Returns:
        JSON text of the object; None if it is empty. If neither option was given, or the value is
        unchanged, `stored` itself.

    Raises:
        AlpenhornError: no JSON, no object, no ``=``, or a stored value that is no JSON.
    """
    if config is None and not variables:
        return stored
    values = _stored(stored) if config is None else _given(config)
    for variable in variables:
        _set(values, variable)
    if stored and _canonical(values) == _canonical_text(stored):
        return stored
    return json.dumps(values, ensure_ascii=False) if values else None


def check(io_class: str | None, config: str | None) -> None:
    """Have the storage class of a node look at its new I/O config.

    Args:
        io_class: its name, None for the default; one that is not known here is not asked.
        config: as `build` returns it.

    Raises:
        StorageError: the class cannot work with it.
    """
    entry = registry.lookup(io_class)
    if entry is not None and entry.node_class is not None:
        entry.node_class.check_config(registry.parse_config(config))


def _given(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise AlpenhornError(f"invalid --io-config: not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise AlpenhornError("invalid --io-config: not a JSON object")
    return value


def _stored(text: str | None) -> dict[str, Any]:
    """Decode the stored object; unset, empty and null are an empty one."""
    try:
        value = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise AlpenhornError(f"{_BAD_STORED}: not valid JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise AlpenhornError(f"{_BAD_STORED}: not a JSON object")
    return value or {}


def _set(values: dict[str, Any], variable: str) -> None:
    name, separator, text = variable.partition("=")
    if not separator:
        raise AlpenhornError(f'invalid --io-var "{variable}": use VAR=VALUE')
    if text:
        values[name] = _typed(text)
    else:
        values.pop(name, None)


def _typed(text: str) -> int | float | str:
    """Read a number if it is one that JSON has; otherwise keep the text."""
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return number if math.isfinite(number) else text


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True)


def _canonical_text(text: str) -> str | None:
    try:
        return _canonical(json.loads(text))
    except (ValueError, RecursionError):
        return None
