"""Where the application's records are read from: a module per kind of source.

A source is a module with `SCHEMES` (what may stand before the colon of --receiver-effects) and
`open_source(spec, options)`, which returns a function that reads all records, in the order in
which the application shows them. What it returns may also have `mark()`, called before anything is sent: what is there
then may be passed over; `whole()`, which reads what was passed over too; `unordered`, true where the records that were
read last have no order; and `close()`, called at the end. Other packages add a source as an entry point in the group
`im_callback.effects`; one that cannot be loaded is passed over.
"""

from __future__ import annotations

import marshal
import pkgutil
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from im_callback.conformance.effects.renaming import Rename, compiled
from im_callback.conformance.effects.source import BadEffects, EffectsError, SourceOptions
from im_callback.conformance.report.masking import Masking, secrets_in
from im_callback.provider_mock.plugins import Plugins
from im_callback.schemas.nearest import choice

__all__ = [
    "BadEffects",
    "EffectsError",
    "ReadEffects",
    "Reading",
    "Records",
    "SourceOptions",
    "compiled",
    "mapped",
    "open_effects",
    "sources",
]

GROUP = "im_callback.effects"
ReadEffects = Callable[[], Sequence[Any]]
"""Returns the application's records as they are now; `EffectsError` where they cannot be read."""
DATABASE = "sql"
"""The module of sources that are told by their query, whatever they are called."""


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
    modules = [one for one in modules if hasattr(one, "SCHEMES")]
    modules += _others.usable().values()
    return {scheme: module for module in modules for scheme in module.SCHEMES}


def open_effects(
    spec: str, options: SourceOptions, mapping: str | None = None, types: Collection[str] | None = None
) -> Records:
    """Return what reads the records `spec` points to; raises `BadEffects`, which never holds a secret.

    `types` are the event types that a file of maps may name.
    """
    mask = Masking.hiding(*secrets_in(spec))
    scheme = spec.partition(":")[0].lower()
    known = sources()
    # As in postgresql+psycopg; and of a database that only SQLAlchemy knows.
    module = known.get(scheme) or known.get(scheme.partition("+")[0])
    if module is None and options.query and "://" in spec:
        module = import_module(f"{__name__}.{DATABASE}")
    if module is None:
        raise BadEffects(
            f"--receiver-effects={mask(repr(spec))}: no source of effects is called {mask(repr(scheme))}; "
            f"{choice(scheme, sorted(known))}" + "".join(f"; {error}" for error in _others.unusable().values())
        )
    if options.query and module.__name__ != f"{__name__}.{DATABASE}":
        raise BadEffects(
            f"--receiver-effects-query goes with the address of a database, and --receiver-effects={mask(spec)} is none; "
            "leave it out"
        )
    rename = compiled(mapping, options.folder, types)
    try:
        read = module.open_source(spec, options)
    except BadEffects as error:
        raise BadEffects(mask(str(error))) from None
    return Records(read, rename, mask)


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
    A record that a source with `whole` gives again as the same object is as it was: it is renamed once.
    """

    def __init__(self, read: Callable[[], Any], rename: Rename, mask: Masking | None = None) -> None:
        self._read = read
        self._rename = rename
        self._mask = mask or Masking(())
        self._renamed: dict[int, tuple[Any, Any]] = {}
        """By its number as an object, a record and what it was renamed to."""
        self._said: dict[bytes, Any] = {}
        """By what it says, a record that was read."""
        self._skipping = True
        # Checks may look at the same time; a connection serves one of them.
        self._lock = threading.Lock()

    @property
    def unordered(self) -> bool:
        """Whether what was read last has no order."""
        return bool(getattr(self._read, "unordered", False))

    @property
    def skips(self) -> bool:
        """Whether records that were there before the run may have been passed over."""
        return self._skipping and hasattr(self._read, "whole")

    def mark(self) -> None:
        """Note what is there before anything is sent, so that it may be passed over.

        What cannot be read yet is read in whole later, and told then.
        """
        mark = getattr(self._read, "mark", None)
        with self._lock, suppress(Exception):
            if mark is not None:
                mark()

    def close(self) -> None:
        """Let go of connections and files."""
        with self._lock, suppress(Exception):
            getattr(self._read, "close", lambda: None)()

    def skip_nothing(self) -> None:
        """Read everything from now on."""
        self._skipping = False

    def __call__(self) -> Sequence[Any]:
        """Return the records as they are judged."""
        return self.read().records

    def whole(self) -> Sequence[Any]:
        """Return all records as they are judged, also those that were there before the run."""
        return self.read(whole=True).records

    def read_raw(self) -> Sequence[Any]:
        """Return the records as the source gives them."""
        return self.read().raw

    def read(self, *, whole: bool = False) -> Reading:
        """Return the records, read once: renamed, and as they are; raises `EffectsError`."""
        with self._lock:
            read = getattr(self._read, "whole", self._read) if whole or not self._skipping else self._read
            found = self._found(read)
            before, self._renamed = self._renamed, {}
            return Reading([self._once_renamed(one, before) for one in found], found)

    def _found(self, read: Callable[[], Any]) -> list[Any]:
        try:
            found = read()
        except EffectsError as error:
            raise EffectsError(self._mask(error.reason), self._mask(error.fix)) from None
        except Exception as error:  # noqa: BLE001 - A source of another package may raise anything.
            said = self._mask(" ".join(f"{type(error).__name__}: {error}".split()))
            raise EffectsError(f"reading them failed ({said})", "Is --receiver-effects right?") from None
        if not isinstance(found, (list, tuple)):
            raise EffectsError(
                f"they are {type(found).__name__}, not a list", "Return a list of records, in the order shown"
            )
        if hasattr(self._read, "whole"):
            return list(found)
        before, self._said = self._said, {}
        return [self._again(one, before) for one in found]

    def _again(self, one: Any, before: dict[bytes, Any]) -> Any:
        """Return the same object for a record that says what one said before: it is not looked at again.

        It is a copy: a function of somebody's own may change later what it has returned.
        """
        try:
            # Version 2 writes the same value always alike; later ones note which objects are one.
            key = marshal.dumps(one, 2)
        except ValueError:
            return dict(one) if isinstance(one, Mapping) else one
        if key not in self._said:
            self._said[key] = before[key] if key in before else marshal.loads(key)  # noqa: S302 - Written just now.
        return self._said[key]

    def _once_renamed(self, raw: Any, before: dict[int, tuple[Any, Any]]) -> Any:
        known = before.get(id(raw))
        if known is None or known[0] is not raw:
            known = (raw, self._rename(raw))
        self._renamed[id(raw)] = known
        return known[1]


def mapped(read: Callable[[], Any], mapping: str | None, folder: Path = Path()) -> Records:
    """Return what reads through the function and renames the records by a map, if there is one."""
    return Records(read, compiled(mapping, folder))
