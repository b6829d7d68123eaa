"""Finding and initialising the extensions that the configuration lists (spec: extensions.md §2).

`find_extensions` imports the modules and collects their objects; `init_extensions` puts those of
one stage to use: the database extension becomes what `alpenhorn.db.connect` asks, import-detect
extensions are kept here, storage classes go into `alpenhorn.io.registry`. Both run in the main
thread, before any other thread exists; what they leave behind is only read afterwards.

Whatever is wrong with an extension module is an `ExtensionError` that names the module.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.errors import ConfigValueError, ExtensionError
from alpenhorn.extensions.base import Extension
from alpenhorn.extensions.database import DatabaseExtension
from alpenhorn.extensions.import_detect import ImportDetectExtension
from alpenhorn.extensions.io_class import IOClassExtension
from alpenhorn.io import registry
from alpenhorn.io.base import InternalIO

log = logging.getLogger(__name__)

HOOK = "register_extensions"


@dataclass
class LoaderState:
    """The extensions in use."""

    database: DatabaseExtension | None = None
    detectors: list[ImportDetectExtension] = field(default_factory=list)
    io_classes: dict[str, IOClassExtension] = field(default_factory=dict)


_state = LoaderState()


def reset() -> None:
    """Forget all extensions, here, in `alpenhorn.db` and in the registry of storage classes."""
    global _state
    _state = LoaderState()
    db.set_extension(None)
    registry.reset()


def find_extensions() -> list[Extension]:
    """Import all listed modules and collect their extensions, in order.

    Returns:
        The extensions, with `full_name` set; later ones of the same full name are left out.

    Raises:
        ConfigValueError: ``extensions`` is no list of module names.
        ExtensionError: a module cannot be imported, or is no extension module.
    """
    found: dict[str, Extension] = {}
    for module_name in listed_modules():
        log.info(f"Loading extension {module_name}")
        objects = _registered(module_name, _import(module_name))
        if not objects:
            log.debug("No usable extensions in module")
        for item in objects:
            _add(found, module_name, item)
    return list(found.values())


def init_extensions(extensions: Iterable[Extension], stage: int) -> None:
    """Put the extensions of one stage to use, in order; unusable ones are skipped with a WARNING.

    Args:
        extensions: result of `find_extensions`.
        stage: 1 before `alpenhorn.db.connect`, 2 after it and after the schema check.

    Raises:
        ExtensionError: two database extensions, a database extension that cannot be used (X-4),
            or a storage class under a name that is taken.
        IndexUnreachable: schema requirements cannot be tested.
    """
    for extension in extensions:
        if extension.stage != stage:
            continue
        if extension.init_extension():
            _use(extension)
        elif isinstance(extension, DatabaseExtension):
            # Without it, alpenhorn would use database.url: perhaps another Data Index.
            raise ExtensionError(
                f"database extension {extension.full_name} cannot be used:"
                f" {extension.obstacle() or 'it refused'}."
                " Install a version that fits, or take it from the configuration."
            )


def import_detection() -> list[ImportDetectExtension]:
    """Return the import-detect extensions in use; logs an ERROR if there are none."""
    if not _state.detectors:
        log.error("Attempt to import file with no import-detect extensions.")
    return list(_state.detectors)


def io_extension(name: str) -> IOClassExtension | InternalIO | None:
    """Return what provides the storage class `name`: an extension or a built-in stand-in.

    Returns:
        An object with `full_name`, `node_class` and `group_class`; None if the name is unknown.
    """
    return _state.io_classes.get(name) or registry.builtin.get(name)


def extensions_of(module_name: str) -> list[Extension]:
    """Import one module and collect its extensions, as `find_extensions` does for all.

    Raises:
        ExtensionError: it cannot be imported, or is no extension module.
    """
    found: dict[str, Extension] = {}
    for item in _registered(module_name, _import(module_name)):
        _add(found, module_name, item)
    return list(found.values())


def listed_modules() -> list[str]:
    """Return the names of the extension modules in the configuration, in order.

    Raises:
        ConfigValueError: ``extensions`` is no list of module names.
    """
    names = config.get("extensions", default=[], as_type=list)
    for name in names:
        if not isinstance(name, str) or not name or name.startswith("."):
            raise ConfigValueError(
                f"invalid config value for extensions: {name!r} is no absolute module name"
            )
    return list(names)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExtensionError(f"unable to import extension module {name}: {error}") from error
    except Exception as error:
        raise _failed(name, "importing it", error) from error


def _registered(name: str, module: ModuleType) -> list[Any]:
    """Call the module's hook."""
    hook = getattr(module, HOOK, None)
    invalid = f'module "{name}" is not a valid Alpenhorn extension module'
    if not callable(hook):
        raise ExtensionError(f'{invalid}: no "{HOOK}" hook')
    try:
        result = hook()
        if isinstance(result, Iterable):
            return list(result)
    except Exception as error:
        raise _failed(name, f"{HOOK}()", error) from error
    raise ExtensionError(f"{invalid}: {HOOK}() returned no list, but {result!r:.80}")


def _failed(name: str, what: str, error: Exception) -> ExtensionError:
    """Describe an unexpected exception of a module; its traceback is for the module's author."""
    log.debug(f"Traceback of extension module {name}:", exc_info=error)
    return ExtensionError(
        f"extension module {name}: {what} failed: {type(error).__name__}: {error}"
    )


def _add(found: dict[str, Extension], module_name: str, item: object) -> None:
    if not isinstance(item, Extension):
        _ignore_unknown(f"{module_name}.{getattr(item, 'name', type(item).__name__)}")
        return
    full_name = f"{module_name}.{item.name}"
    if full_name in found:
        log.warning(f'Ignoring duplicate extension "{full_name}"')
        return
    item.full_name = full_name
    found[full_name] = item


def _use(extension: Extension) -> None:
    match extension:
        case DatabaseExtension():
            _use_database(extension)
        case ImportDetectExtension():
            _state.detectors.append(extension)
        case IOClassExtension():
            _use_io_class(extension)
        case _:
            _ignore_unknown(str(extension.full_name))


def _use_database(extension: DatabaseExtension) -> None:
    if _state.database is not None:
        raise ExtensionError(
            "more than one database extension in config"
            f" ({_state.database.full_name} and {extension.full_name})"
        )
    log.info(f"Using database extension {extension.full_name}.")
    db.set_extension(extension)
    _state.database = extension


def _use_io_class(extension: IOClassExtension) -> None:
    entry = InternalIO(str(extension.full_name), extension.node_class, extension.group_class)
    registry.register(extension.io_class_name, entry)
    _state.io_classes[extension.io_class_name] = extension


def _ignore_unknown(full_name: str) -> None:
    log.warning(f"Ignoring Extension with unknown type: {full_name}")
