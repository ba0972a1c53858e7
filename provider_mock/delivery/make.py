"""Makes the shots of a plan: the signed request of each step, with its changes.

Nothing here performs I/O or reads a clock: the time comes with each call, nonces from a function.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from provider_mock.contract import Credentials, Event, Parameter, Provider, Request, Stamp
from provider_mock.delivery.bodies import BROKEN
from provider_mock.delivery.plan import Change, Step
from provider_mock.history import Shot
from provider_mock.traffic.shape import leaves
from provider_mock.wire import encode
from schemas import replace as put
from schemas import resolve

UNSIGNED = frozenset({"break", "pad", "method"})
"""Changes after which the request is none that the provider sends, however well it is signed."""


class CannotChange(ValueError):
    """A change asks for something that this provider's requests do not have."""

    def __init__(self, provider: Provider, wanted: str, *, unsigned: bool = False) -> None:
        if unsigned:
            message = f"{provider.name} sends no {wanted} while no secret is set; set one (--app-secret)"
        else:
            known = ", ".join(f"{one.name} ({one.role})" for one in provider.parameters) or "none"
            message = f"{provider.name} has no parameter {wanted!r} that could be changed; choose one of: {known}"
        super().__init__(message)
        self.wanted = wanted


class Maker:
    """Makes shots. `batches` are the events of each delivery of the plan; `nonces` gives a new nonce each time."""

    def __init__(
        self,
        provider: Provider,
        credentials: Credentials,
        endpoint: str,
        batches: Sequence[Sequence[Event]],
        nonces: Callable[[], str],
    ) -> None:
        self.provider = provider
        self.credentials = credentials
        self.endpoint = endpoint
        self.batches = batches
        self._nonces = nonces
        self._stamps: dict[tuple[int, int], Stamp] = {}

    def check(self, steps: Iterable[Step]) -> None:
        """Raise `CannotChange` if the provider's requests do not have what a step is to change."""
        seen: set[tuple[Change, ...]] = set()
        for step in steps:
            if step.changes and step.changes not in seen:
                seen.add(step.changes)
                self._made(step, Stamp(0, "0"))

    def __call__(self, step: Step, millis: int) -> Shot:
        """Return the shot of a step that leaves at this time; steps that share a signing share its time and nonce."""
        key = (step.index, step.signing)
        if key not in self._stamps:
            self._stamps[key] = Stamp(millis, self._nonces())
        stamp = self._stamps[key]
        shot = self._made(step, stamp)
        aged = self.provider.freshness is not None and millis - stamp.millis > self.provider.freshness * 1000
        if step.changes or step.stamp_shift or aged:
            problem = self.provider.verify(shot.request, self.credentials, millis)
            shot = replace(shot, forged=problem is not None)
        return shot

    def _made(self, step: Step, stamp: Stamp) -> Shot:
        events = tuple(self.batches[step.index])
        used = self._credentials(step.changes)
        shifted = replace(stamp, millis=stamp.millis + step.stamp_shift)
        signed = self.provider.request(events, self.endpoint, used, shifted, step.wire)
        body = signed.body
        for change in step.changes:
            if change.kind == "break":
                body = BROKEN[change.value](body)
            elif change.kind == "pad":
                body = body.ljust(int(change.value))
        if body != signed.body:
            code = self.provider.catalogue[events[0].type].code
            signed = self.provider.sign(body, code, self.endpoint, used, shifted, step.wire)
        request = signed
        for change in step.changes:
            if change.kind == "body":
                request, events = self._tampered(request, events, step, recompute=bool(change.value))
            else:
                request = self._changed(request, change)
        broken = any(change.kind in UNSIGNED for change in step.changes)
        return Shot(request, signed, events, used, broken=broken, note=describe(step))

    def _credentials(self, changes: Iterable[Change]) -> Credentials:
        used = self.credentials
        for change in changes:
            if change.kind == "app":
                used = replace(used, app_key=change.value)
            elif change.kind == "secret" and used.app_secret is not None:
                secrets = {"other": f"not-{used.app_secret}", "empty": "", "app-key": used.app_key}
                used = replace(used, app_secret=secrets[change.value])
            elif change.kind == "secret":
                raise CannotChange(self.provider, "signature", unsigned=True)
        return used

    def _changed(self, request: Request, change: Change) -> Request:
        kind, value = change.kind, change.value
        if kind == "method":
            return replace(request, method=value)
        if kind in ("drop", "empty", "double"):
            parameter, old = self._parameter(request, change.name)
            return parameter.given(request, *{"drop": (), "empty": ("",), "double": (old, old)}[kind])
        if kind == "time":
            parameter, old = self._parameter(request, kind)
            return parameter.given(request, str(int(old) + int(value)))
        if kind in ("nonce", "digest"):
            parameter, old = self._parameter(request, kind)
            return parameter.given(request, another(old))
        if kind == "signature":
            parameter, old = self._parameter(request, kind)
            return parameter.given(request, old[: int(value)])
        return request

    def _parameter(self, request: Request, wanted: str) -> tuple[Parameter, str]:
        """Return the parameter with this role or name, and its value in the request."""
        for parameter in self.provider.parameters:
            if wanted == parameter.role or wanted.lower() == parameter.name.lower():
                values = parameter.values(request)
                if values:
                    return parameter, values[0]
                raise CannotChange(self.provider, wanted, unsigned=True)
        raise CannotChange(self.provider, wanted)

    def _tampered(
        self, request: Request, events: tuple[Event, ...], step: Step, *, recompute: bool
    ) -> tuple[Request, tuple[Event, ...]]:
        """Return the request with another text in its first event, and the events that it then carries."""
        pointer = self._target(events[0])
        place = "/0" if self.provider.batches else ""
        try:
            document = json.loads(request.body)
            old = resolve(document, place + pointer)
            body = encode(put(document, place + pointer, another(old)), step.wire)
            payload: Any = put(events[0].payload, pointer, another(resolve(events[0].payload, pointer)))
            events = (Event(events[0].type, payload), *events[1:])
        except (ValueError, LookupError, TypeError, RecursionError):
            # A body that is broken already: other bytes will do.
            body = request.body + b" "
        changed = replace(request, body=body)
        if recompute:
            parameter, _ = self._parameter(request, "digest")
            code = self.provider.catalogue[events[0].type].code
            fitting = self.provider.sign(body, code, self.endpoint, self.credentials, Stamp(0, "0"), step.wire)
            changed = parameter.given(changed, *parameter.values(fitting))
        return changed, events

    def _target(self, event: Event) -> str:
        """Return the pointer of a text to change: part of the identity if possible, so that an effect would show.

        The changed event is still one of its type, and as valid as before.
        """
        event_type = self.provider.catalogue[event.type]
        texts = [pointer for pointer, value in leaves(event.payload) if isinstance(value, str) and value]
        own = [pointer for pointer in texts if isinstance(resolve(event.payload, pointer, None), str)]
        first = [pointer for pointer in event_type.identity or () if pointer in own]
        candidates = [*first, *reversed([pointer for pointer in own if pointer not in first])]
        for pointer in candidates:
            changed: Any = put(event.payload, pointer, another(resolve(event.payload, pointer)))
            if self.provider.catalogue.identify(changed) is event_type and (
                len(event_type.problems(changed)) <= len(event_type.problems(event.payload))
            ):
                return pointer
        return next(iter(candidates), "")


def another(text: str) -> str:
    """Return the text with another last character of the same sort."""
    last = text[-1:]
    if last in "0123456789" and last:
        return text[:-1] + str((int(last) + 1) % 10)
    return text[:-1] + ("b" if last == "a" else "a")


def describe(step: Step) -> str:
    """Return in a few words which request of the plan this is."""
    words = [f"delivery {step.index + 1}"]
    if step.copy:
        words.append(f"copy {step.copy + 1}")
    if step.attempt:
        words.append(f"attempt {step.attempt + 1}")
    return ", ".join(words)
