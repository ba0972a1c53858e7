"""Where the application's records are read from: a module per kind of source.

A source is a module with `SCHEMES` (what may stand before the colon of --receiver-effects) and
`open_source(spec, options)`, which returns a function that reads all records, in the order in
which the application shows them. Other packages add one as an entry point in the group
`im_callback.effects`; one that cannot be loaded is passed over.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from im_callback.conformance.report.masking import Masking, secrets_in
from im_callback.provider_mock.plugins import Plugins

GROUP = "im_callback.effects"
ReadEffects = Callable[[], Sequence[Any]]
"""Returns the application's records as they are now; `EffectsError` where they cannot be read."""


class EffectsError(Exception):
    """The effects could not be read: `reason` says why, `fix` what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(f"{reason}. {fix}")
        self.reason = reason
        self.fix = fix


class BadEffects(ValueError):
    """The value of --receiver-effects or --receiver-effects-map cannot be used."""


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """What a source may need besides its address: extra headers, a private CA."""

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    ca_file: Path | None = None


def _checked(found: Any) -> ModuleType:
    if not callable(found.open_source):
        raise TypeError("it has no function open_source")
    tuple(found.SCHEMES)
    module: ModuleType = found
    return module


_others = Plugins(GROUP, "source of effects", _checked)


def sources() -> dict[str, ModuleType]:
    """Return the modules of effects sources that can be used, by scheme."""
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    modules += _others.usable().values()
    return {scheme: module for module in modules for scheme in module.SCHEMES}


def open_effects(spec: str, options: SourceOptions, mapping: str | None = None) -> Records:
    """Return what reads the records `spec` points to; raises `BadEffects`, which never holds a secret."""
    mask = Masking.hiding(*secrets_in(spec))
    scheme = spec.partition(":")[0].lower()
    module = sources().get(scheme)
    if module is None:
        raise BadEffects(
            f"--receiver-effects={mask(repr(spec))}: no source of effects is called {mask(repr(scheme))}; "
            f"give one of {', '.join(sorted(sources()))}, or override the fixture receiver_effects"
            + "".join(f"; {error}" for error in _others.unusable().values())
        )
    try:
        read = module.open_source(spec, options)
    except BadEffects as error:
        raise BadEffects(mask(str(error))) from None
    return Records(read, mapping, mask)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the records as they are judged, and each as the source gave it, in the same order."""

    records: list[Any]
    raw: list[Any]


class Records:
    """Reads the application's records; called, it returns them as they are judged.

    A record of any kind is passed on, also `null`, a text, a list or a number: what the application keeps
    is what is judged. A record that the expression cannot rename, or of which it leaves nothing, is passed
    on as it is. Only what is no list at all is an `EffectsError`, which never holds a secret of the address.
    """

    def __init__(self, read: Callable[[], Any], mapping: str | None = None, mask: Masking | None = None) -> None:
        self._read = read
        self._rename = compiled(mapping)
        self._mask = mask or Masking(())

    def __call__(self) -> Sequence[Any]:
        """Return the records as they are judged."""
        return self.read().records

    def read_raw(self) -> Sequence[Any]:
        """Return the records as the source gives them."""
        return self.read().raw

    def read(self) -> Reading:
        """Return the records, read once: renamed, and as they are; raises `EffectsError`."""
        try:
            found = self._read()
        except EffectsError as error:
            raise EffectsError(self._mask(error.reason), self._mask(error.fix)) from None
        except Exception as error:  # noqa: BLE001 - A source of another package may raise anything.
            said = self._mask(" ".join(f"{type(error).__name__}: {error}".split()))
            raise EffectsError(f"reading them failed ({said})", "Is --receiver-effects right?") from None
        if not isinstance(found, (list, tuple)):
            raise EffectsError(
                f"they are {type(found).__name__}, not a list", "Return a list of records, in the order shown"
            )
        return Reading([self._rename(one) for one in found], list(found))


def mapped(read: Callable[[], Any], mapping: str | None) -> Records:
    """Return what reads through the function and renames the records by a JMESPath expression, if there is one."""
    return Records(read, mapping)


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
            renamed = search(record)
        except (JMESPathError, TypeError, ValueError, AttributeError):
            # JMESPath raises the others for values that its functions do not take.
            return record
        return record if _nothing(renamed) else renamed

    return rename


def _nothing(renamed: Any) -> bool:
    """Return whether a record came out empty: not one of its fields was there."""
    return renamed is None or (isinstance(renamed, Mapping) and all(value is None for value in renamed.values()))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
