"""The merged configuration tree, and typed look-ups in it.

`load_config` reads the files once, at start (`config_files`); the other functions look values up
when they are needed (spec: config.md §5). Our own keys are looked up with `value`, which takes
type, default and limits from `config_keys`; extensions use `get` and its relatives for theirs.

All errors are one line for a person, and name the file or the key.
"""

from __future__ import annotations

import copy
import logging
import os
import shlex
from collections.abc import Callable, Iterator
from typing import Any, Final

from alpenhorn.common import config_files, units
from alpenhorn.common.config_files import merge_dict_tree
from alpenhorn.common.config_keys import (
    BY_NAME,
    CLOSED_SECTIONS,
    KEYS,
    LOG_LEVELS,
    SECTIONS,
    SYSLOG_FACILITIES,
    Key,
)
from alpenhorn.errors import ConfigError, ConfigValueError

log = logging.getLogger(__name__)

__all__ = [
    "check_daemon_config",
    "get",
    "get_bytes",
    "get_float",
    "get_int",
    "load_config",
    "load_usable",
    "log_level",
    "merge_dict_tree",
    "test_isolation",
    "top_level",
    "unknown_keys",
    "value",
    "value_problems",
    "warn_unknown_keys",
]

_MISSING: Final = object()

_config: dict[Any, Any] = {}
_isolated = False


def test_isolation(enable: bool = True) -> None:
    """Leave the three standard files unread from the next `load_config` on (or no longer)."""
    global _isolated
    _isolated = enable


# pytest collects functions by this name in modules that import it.
test_isolation.__test__ = False  # type: ignore[attr-defined]


def load_config(cli_conf: str | os.PathLike[str] | None, cli: bool) -> None:
    """Read and merge all configuration files that exist; replaces what was loaded before.

    Args:
        cli_conf: path given with ``--conf``, or None.
        cli: whether the command line program is starting. Both programs read the same files in
            the same way; the argument is part of the public signature.

    Raises:
        ConfigError: no file was found, or one cannot be read or is no YAML mapping. What was
            loaded before stays in force.
    """
    global _config
    _config = config_files.read_all(cli_conf, standard=not _isolated)


def load_usable(cli_conf: str | os.PathLike[str] | None) -> list[config_files.Place]:
    """Read and merge what can be used of the configuration files; for who looks for mistakes.

    Returns:
        All places that were looked at, with what is wrong with the files there.
    """
    global _config
    places = list(config_files.read_each(cli_conf, standard=not _isolated))
    _config = config_files.merge_all(place.tree for place in places if place.tree is not None)
    return places


def top_level() -> list[str]:
    """Return the names of the sections that were loaded, known or not."""
    return [str(name) for name in _config]


def get(path: str, default: Any = _MISSING, as_type: type | None = None) -> Any:
    """Look up a value (spec: config.md §5).

    Args:
        path: dotted path, such as ``"logging.file.watch"``.
        default: returned as it is if there is no value. Null counts as no value (K-6), but is
            the empty mapping or sequence if such a one is asked for.
        as_type: dict, list, bool, int, float or str; None: the value as it is.

    Returns:
        The value, converted; mappings and sequences are copies.

    Raises:
        ConfigError: there is no value and no default.
        ConfigValueError: the value is not of that type.
        ValueError: `as_type` is another type.
    """
    if as_type not in (None, dict, list, bool, int, float, str):
        raise ValueError(f"unsupported type: {as_type}")
    found = _find(path)
    if found is None and as_type in (dict, list):
        return as_type()
    if found is _MISSING or found is None:
        if default is _MISSING:
            raise ConfigError(f"missing config value: {path}")
        return default
    return _convert(path, found, as_type)


def get_int(path: str, default: Any, min: float | None = None, max: int | None = None) -> Any:
    """Look up an int within inclusive bounds, which the default need not meet.

    Raises:
        ConfigValueError: the value is no number, or out of bounds.
    """
    return _get_bounded(path, default, int, min, max)


def get_float(path: str, default: Any, min: float | None = None, max: float | None = None) -> Any:
    """Look up a float within inclusive bounds, which the default need not meet.

    Raises:
        ConfigValueError: the value is no number, or out of bounds.
    """
    return _get_bounded(path, default, float, min, max)


def get_bytes(path: str, default: str | float | None = None) -> int:
    """Look up a size in bytes: a number, or a number followed by k, M or G.

    Args:
        path: dotted path.
        default: interpreted in the same way; None: the value is needed.

    Raises:
        ConfigError: there is no value and no default.
        ConfigValueError: it is no size above 0.
    """
    size = get(path, _MISSING if default is None else default)
    try:
        return units.parse_bytes(size)
    except ValueError:
        raise ConfigValueError(f'invalid value for "{path}"') from None


def value(name: str) -> Any:
    """Look up one of alpenhorn's own keys, with type, default and limits of `config_keys`.

    Args:
        name: the dotted path; a key of the table.

    Returns:
        The tested value: ``size`` as an int, ``command`` as a list of strings, ``level`` in upper
        and ``facility`` in lower case. None if there is neither a value nor a default; an empty
        mapping or list for these types.

    Raises:
        ConfigValueError: the value is wrong.
        KeyError: no such key in the table.
    """
    key = BY_NAME[name]
    return _READERS[key.type](key)


def check_daemon_config() -> None:
    """Test all keys of the table before the daemon starts its work (spec: config.md K-5).

    Raises:
        ConfigValueError: a value is wrong.
    """
    for section in SECTIONS:
        get(section, {}, dict)
    for key in KEYS:
        value(key.name)


def value_problems() -> Iterator[str]:
    """Yield what `check_daemon_config` would raise, all of it."""
    for section in SECTIONS:
        yield from _refusal(get, section, {}, dict)
    for key in KEYS:
        if key.name not in SECTIONS:
            yield from _refusal(value, key.name)


def warn_unknown_keys() -> None:
    """Log one WARNING per unknown key below `base`, `daemon` and `logging` (config.md K-3)."""
    for name, meant in unknown_keys():
        hint = f' Did you mean "{meant}"?' if meant else ""
        log.warning(f'Ignoring unknown configuration key "{name}".{hint}')


def unknown_keys() -> Iterator[tuple[str, str | None]]:
    """Yield unknown keys below `base`, `daemon` and `logging`, with the key that may be meant."""
    # Needed for mistakes only; the command's start-up time counts.
    from difflib import get_close_matches

    for section in CLOSED_SECTIONS:
        for name in _unknown_below(section):
            yield name, next(iter(get_close_matches(name, BY_NAME, n=1)), None)


def _refusal(look_up: Callable[..., Any], *args: Any) -> Iterator[str]:
    try:
        look_up(*args)
    except ConfigValueError as error:
        yield error.message


def _find(path: str) -> Any:
    place: Any = _config
    for name in path.split("."):
        if not isinstance(place, dict) or name not in place:
            return _MISSING
        place = place[name]
    return place


_EXPECTED = {dict: "mapping", list: "sequence", bool: "boolean"}


def _convert(path: str, found: Any, as_type: type | None) -> Any:
    problem = f"invalid config value for {path}"
    if as_type is None:
        return copy.deepcopy(found)
    if as_type in _EXPECTED:
        if not isinstance(found, as_type):
            raise ConfigValueError(f"{problem}: {_EXPECTED[as_type]} expected")
        return copy.deepcopy(found)
    if isinstance(found, (dict, list)):
        raise ConfigValueError(f"{problem}: scalar expected")
    try:
        return as_type(found)
    except (TypeError, ValueError, OverflowError):
        raise ConfigValueError(f"{problem}: {as_type.__name__} expected") from None


def _get_bounded(
    path: str, default: Any, as_type: type, low: float | None, high: float | None
) -> Any:
    if _find(path) in (_MISSING, None):
        return get(path, default)
    found = get(path, as_type=as_type)
    # Written so that "not a number" is refused as well.
    if low is not None and not found >= low:
        raise ConfigValueError(f'config parameter "{path}" too small: {found} < {low}')
    if high is not None and not found <= high:
        raise ConfigValueError(f'config parameter "{path}" too large: {found} > {high}')
    return found


def _read_command(key: Key) -> list[str]:
    try:
        words = shlex.split(get(key.name, key.default, str))
    except ValueError as error:
        raise ConfigValueError(f"invalid config value for {key.name}: {error}") from None
    if not words:
        raise ConfigValueError(f"invalid config value for {key.name}: program expected")
    return words


def _read_level(key: Key) -> str:
    return log_level(key.name, get(key.name, key.default, str))


def log_level(where: str, name: object) -> str:
    """Return the name of a log level in upper case.

    Args:
        where: the key, for the error.
        name: the level as configured, any case.

    Raises:
        ConfigValueError: there is no such level.
    """
    level = str(name).upper()
    if level not in LOG_LEVELS:
        raise ConfigValueError(
            f'invalid config value for {where}: "{name}" is not one of {", ".join(LOG_LEVELS)}'
        )
    return level


def _read_choice(key: Key) -> str:
    name = get(key.name, key.default, str)
    if name not in key.choices:
        raise ConfigValueError(f"{key.name} must be one of {', '.join(key.choices)}: {name}")
    return str(name)


def _read_facility(key: Key) -> str:
    name: str = get(key.name, key.default, str)
    if name.lower() not in SYSLOG_FACILITIES:
        raise ConfigValueError(f"unknown facility {name} in {key.name}")
    return name.lower()


_READERS: dict[str, Callable[[Key], Any]] = {
    "string": lambda key: get(key.name, key.default, str),
    "int": lambda key: get_int(key.name, key.default, key.minimum, key.maximum),
    "float": lambda key: get_float(key.name, key.default, key.minimum, key.maximum),
    "bool": lambda key: get(key.name, key.default, bool),
    "size": lambda key: get_bytes(key.name, str(key.default)),
    "list": lambda key: get(key.name, [], list),
    "mapping": lambda key: get(key.name, {}, dict),
    "level": _read_level,
    "facility": _read_facility,
    "choice": _read_choice,
    "command": _read_command,
}


def _unknown_below(section: str) -> Iterator[str]:
    """Yield the unknown keys below a mapping; what is below a free-form mapping is not ours."""
    found = _find(section)
    if not isinstance(found, dict):
        return
    for part in found:
        name = f"{section}.{part}"
        if name not in BY_NAME:
            yield name
        elif BY_NAME[name].type == "mapping" and any(k.startswith(f"{name}.") for k in BY_NAME):
            yield from _unknown_below(name)
