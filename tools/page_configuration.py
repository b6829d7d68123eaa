"""The reference of configuration keys and the example file, from `common/config_keys.py`."""

from __future__ import annotations

import textwrap

from alpenhorn.common.config_keys import KEYS, LOG_LEVELS, SYSLOG_FACILITIES, Key

_HEAD = f"""\
# Configuration

<!-- Made by tools/make_docs.py from src/alpenhorn/common/config_keys.py. Do not edit. -->

alpenhorn reads YAML files. The command line and the daemon read the same ones; all of these that
exist are read, in this order:

1. `/etc/alpenhorn/alpenhorn.conf`
2. `/etc/xdg/alpenhorn/alpenhorn.conf`
3. `~/.config/alpenhorn/alpenhorn.conf`
4. the file named by the environment variable `ALPENHORN_CONFIG_FILE`
5. the file given with `-c FILE` or `--conf FILE`

Later files take precedence: mappings are merged key by key, lists are joined, any other value
replaces the earlier one. At least one file must exist. With `--test-isolation` files 1 to 3 are
left unread. The files are read once, at start. A key that alpenhorn does not know, below `base`,
`daemon` or `logging`, gets a warning that names it.

[`examples/alpenhorn.conf`](../examples/alpenhorn.conf) holds every key with its default, explained.
The `io_config` of nodes and groups is not in these files: it is kept in the Data Index
(`alpenhorn node modify --io-config`).

## Types

| type | a value is |
| --- | --- |
| string, int, float | what YAML says; text that holds a number is accepted for numbers |
| bool | `true` or `false` (also `yes`, `no`, `on`, `off`), not 0 or 1 |
| size | bytes: a number, or a number with `k`, `M` or `G` (powers of 1024), such as `4M` |
| list, mapping | a YAML sequence, a YAML mapping |
| command | program and options on one line, quoted as for a shell, but never given to one |
| level | {", ".join(f"`{level}`" for level in LOG_LEVELS)}, in any case |
| facility | {", ".join(f"`{name}`" for name in SYSLOG_FACILITIES)} |

## Keys

"Read by": C is the command line, D the daemon.
"""

_SECTIONS = {
    "base": "Who this host is.",
    "database": "Where the Data Index is. SQLite: `sqlite:////absolute/path/index.db` (four "
    "slashes). Servers: `mysql://user:password@host:3306/name` (extra `mysql`), "
    "`postgresql://user:password@host:5432/name` (extra `postgres`).",
    "extensions": "Modules of your own: see [extensions.md](extensions.md).",
    "daemon": "How the daemon works.",
    "logging": "Where the daemon's log goes; it goes to standard error in any case. The command "
    "line takes its verbosity from `-q`, `-v` and `--debug` alone.",
}

_CONF_HEAD = """\
# Configuration of alpenhorn, with every key and its default.
#
# Made by tools/make_docs.py from src/alpenhorn/common/config_keys.py. Do not edit: copy it, to
# /etc/alpenhorn/alpenhorn.conf or one of the other places (alpenhorn --help-config), and take out
# the '#' before the keys that you want to set. Only database.url is needed.
"""

_SAMPLES = {
    "base.hostname": "archive1",
    "database.url": "sqlite:////var/lib/alpenhorn/index.db",
    "database.password_file": "/etc/alpenhorn/password",
    "extensions": "[pattern_importer]",
    "daemon.host": "archive1",
    "daemon.prom_client_port": "8080",
    "logging.module_levels": "{alpenhorn.db: DEBUG}",
    "logging.file.name": "/var/log/alpenhorn/alpenhornd.log",
}
"""Values for keys without a default."""


def text() -> str:
    """Return the reference page."""
    return "\n".join([_HEAD, *(_section(name, about) for name, about in _SECTIONS.items())])


def _section(name: str, about: str) -> str:
    lines = [f"### {name}", "", about, ""]
    lines += ["| key | type | default | limits | read by | meaning |", "|" + " --- |" * 6]
    lines += [_row(key) for key in KEYS if key.name.partition(".")[0] == name]
    return "\n".join([*lines, ""])


def _row(key: Key) -> str:
    default = "-" if key.default is None else f"`{_yaml(key.default)}`"
    by = ", ".join(key.read_by)
    cells = [f"`{key.name}`", key.type, default, _limits(key), by, key.meaning]
    return f"| {' | '.join(cells)} |"


def _limits(key: Key) -> str:
    match (key.minimum, key.maximum):
        case (None, None):
            return "-"
        case (low, None):
            return f"≥ {low}"
        case (None, high):
            return f"≤ {high}"
        case (low, high):
            return f"{low} to {high}"


def _yaml(value: str | int | float | bool) -> str:
    """Spell a default as one would write it in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def example() -> str:
    """Return the example file: all keys but the needed one are commented out."""
    lines = [_CONF_HEAD]
    opened: set[str] = set()
    for key in KEYS:
        if key.name in _GROUPS:
            lines += _open(key.name, opened, key.meaning)
            continue
        lines += _open(key.name.rpartition(".")[0], opened)
        indent = "    " * key.name.count(".")
        limits = "" if _limits(key) == "-" else f", {_limits(key)}"
        lines += _comment(f"{key.meaning} ({key.type}{limits})", indent)
        lines += [f"{indent}{_setting(key)}", ""]
    return "\n".join(lines)


_GROUPS = {key.name.rpartition(".")[0] for key in KEYS}
"""Keys that only hold others."""


def _open(path: str, opened: set[str], about: str = "") -> list[str]:
    """Return the lines that begin a section, unless it was begun before."""
    if not path or path in opened:
        return []
    opened.add(path)
    parent, _, name = path.rpartition(".")
    indent = "    " * path.count(".")
    about = _SECTIONS.get(path, about).replace("`", "")
    return [*_open(parent, opened), *_comment(about, indent), f"{indent}{name}:", ""]


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(text, 98, initial_indent=start, subsequent_indent=start)


def _setting(key: Key) -> str:
    value = _SAMPLES.get(key.name) or _yaml(key.default if key.default is not None else "")
    mark = "" if key.name == "database.url" else "#"
    return f"{mark}{key.name.rpartition('.')[2]}: {value}"
