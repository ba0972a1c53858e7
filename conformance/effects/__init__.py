"""Where the application's records are read from: a module per kind of source.

A source is a module with `SCHEMES` (what may stand before the colon of --receiver-effects) and
`open_source(spec, options)`, which returns a function that reads all records, in the order in
which the application shows them. Other packages add one as an entry point in the group
`im_callback.effects`.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from conformance.run import EffectsError, ReadEffects

GROUP = "im_callback.effects"


class BadEffects(ValueError):
    """The value of --receiver-effects or --receiver-effects-map cannot be used."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may need besides its address: extra headers, a private CA."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None


def sources() -> dict[str, ModuleType]:
    """Return the modules of effects sources by scheme."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    modules += [entry.load() for entry in entry_points(group=GROUP)]
    return {scheme: module for module in modules for scheme in module.SCHEMES}


def open_effects(spec: str, options: SourceOptions, mapping: str | None = None) -> ReadEffects:
    """Return the function that reads the records `spec` points to; raises `BadEffects`."""
    scheme = spec.partition(":")[0].lower()
    module = sources().get(scheme)
    if module is None:
        raise BadEffects(
            f"--receiver-effects={spec!r}: no source of effects is called {scheme!r}; "
            f"give one of {', '.join(sorted(sources()))}, or override the fixture receiver_effects"
        )
    return mapped(module.open_source(spec, options), mapping)


def mapped(read: Any, mapping: str | None) -> ReadEffects:
    """Return the function with its records checked, and renamed by a JMESPath expression if there is one."""
    rename = compiled(mapping)

    def records() -> Sequence[Mapping[str, Any]]:
        found = read()
        if not isinstance(found, (list, tuple)):
            raise EffectsError(
                f"they are {type(found).__name__}, not a list", "Return a list of records, in the order shown"
            )
        renamed = [rename(one) for one in found]
        for one in renamed:
            if not isinstance(one, Mapping):
                raise EffectsError(
                    f"a record is {type(one).__name__}, not an object with named fields",
                    "Return objects; --receiver-effects-map (JMESPath) can make them",
                )
        return renamed

    return records


def compiled(mapping: str | None) -> Callable[[Any], Any]:
    """Return the function that renames a record by a JMESPath expression; raises `BadEffects`."""
    if not mapping:
        return lambda record: record
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        search = jmespath.compile(mapping).search
    except JMESPathError as error:
        raise BadEffects(f"--receiver-effects-map={mapping!r} is not JMESPath: {_line(error)}") from None

    def rename(record: Any) -> Any:
        try:
            return search(record)
        except JMESPathError as error:
            raise EffectsError(f"a record cannot be renamed: {_line(error)}", "Mend --receiver-effects-map") from None

    return rename


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
