"""Texts about the program itself, for all front ends; needs no configuration."""

from __future__ import annotations

import platform

import alpenhorn

_LICENCE = """\
Copyright (c) the alpenhorn developers

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial
portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""

HELP_CONFIG = """\
Configuration of alpenhorn

The configuration is read from YAML files. All of these that exist are read, in this order:

  1. /etc/alpenhorn/alpenhorn.conf
  2. /etc/xdg/alpenhorn/alpenhorn.conf
  3. ~/.config/alpenhorn/alpenhorn.conf
  4. the file named by the environment variable ALPENHORN_CONFIG_FILE
  5. the file given with -c FILE or --conf=FILE

Later files take precedence: mappings are merged key by key, lists are joined, any other value
replaces the earlier one. At least one file must exist. With --test-isolation, files 1 to 3 are
left unread.

The database that holds the Data Index is configured with a URL:

  database:
    url: sqlite:////srv/alpenhorn/index.db

or, on a database server,

  database:
    url: mysql://user:password@host:3306/name
    url: postgresql://user:password@host:5432/name

A URL of an SQLite file needs four slashes before an absolute path. Instead of a URL, a database
extension may make the connection: a Python module that is listed in the configuration,

  extensions:
    - my.database.module

A new database is prepared with "alpenhorn db init"."""


def version_text(program: str) -> str:
    """Return version, licence permission and warranty notice (spec: cli.md §2.2).

    Args:
        program: ``alpenhorn`` or ``alpenhornd``.
    """
    python = platform.python_version()
    return f"{program} {alpenhorn.__version__} (Python {python})\n\n{_LICENCE}"
