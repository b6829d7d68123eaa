"""The page of events, from the classes of `alpenhorn.events`."""

from __future__ import annotations

import ast
import dataclasses
import inspect

from alpenhorn import events

_HEAD = """\
# Events

<!-- Made by tools/make_docs.py from src/alpenhorn/events.py. Do not edit. -->

An event is how a lower room tells the rooms above that something happened: the metrics and the
back-off of routes are built on events, and an extension may listen too.

```python
from alpenhorn import events


def tell(event: events.FileDeleted) -> None:
    print(event.node, event.size_b)


stop = events.subscribe(events.FileDeleted, tell)  # stop() ends the subscription
```

A listener is called in the thread that emits the event, so it must be quick and safe to call from
any thread. If it raises, the exception is logged and the work goes on.
"""


def kinds() -> list[type[events.Event]]:
    """Return the classes of events, in the order of the source."""
    return list(events.Event.__subclasses__())


def text() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *(_section(kind) for kind in kinds())])


def _section(kind: type[events.Event]) -> str:
    lines = [f"## {kind.__name__}", "", _code(inspect.cleandoc(kind.__doc__ or "")), ""]
    lines += ["| field | type |", "| --- | --- |"]
    lines += [f"| `{name}` | `{annotation}` |" for name, annotation in _fields(kind)]
    return "\n".join([*lines, ""])


def _fields(kind: type[events.Event]) -> list[tuple[str, str]]:
    """Return names and types as the source spells them."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    spelled = {
        ast.unparse(node.target): ast.unparse(node.annotation)
        for node in body.body
        if isinstance(node, ast.AnnAssign)
    }
    return [
        (field.name, spelled[field.name].replace("|", "\\|")) for field in dataclasses.fields(kind)
    ]


def _code(text: str) -> str:
    """Turn the quotes of docstrings into those of Markdown."""
    return text.replace("``", "`")
