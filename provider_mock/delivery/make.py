"""Makes the shots of a plan: the signed request of each step, with its changes.

Nothing here performs I/O or reads a clock: the time comes with each call, nonces from a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from im_callback.provider_mock.contract import Credentials, Event, Feed, Provider, Stamp
from im_callback.provider_mock.delivery.changes import CannotChange, Way, judged, made
from im_callback.provider_mock.delivery.plan import NO_WIRE, Step
from im_callback.provider_mock.history import Shot

NOON = 43_200_000
"""A time at which requests are tried, with room before it."""


class Maker:
    """Makes shots. `batches` are the events of each delivery of the plan; `nonces` gives a new nonce each time.

    A feed that `endpoints` names has an address of its own there. `delivery_ids` is what each delivery is called
    in its requests; without, that comes from the nonces. `bodies` are the bytes that carry the events of each
    delivery, where they are not to be written anew; a step that writes them in another way does so.
    """

    def __init__(
        self,
        provider: Provider,
        credentials: Credentials,
        endpoint: str,
        batches: Sequence[Sequence[Event]],
        nonces: Callable[[], str],
        endpoints: Mapping[str, str] | None = None,
        delivery_ids: Sequence[str] = (),
        bodies: Sequence[bytes] = (),
    ) -> None:
        self._delivery_ids, self._bodies = delivery_ids, bodies
        self.endpoints = endpoints or {}
        self.provider = provider
        self.credentials = credentials
        self.endpoint = endpoint
        self.batches = batches
        self._nonces = nonces
        self._stamps: dict[tuple[int, int], Stamp] = {}

    def endpoint_of(self, feed: Feed) -> str:
        """Return where the requests of a feed go."""
        return self.endpoints.get(feed.name, self.endpoint)

    def check(self, steps: Iterable[Step]) -> None:
        """Raise `CannotChange` if requests, of any event type, do not have what a step is to change.

        Another way to write or to date them must make some of them other ones.
        """
        seen: set[tuple[str, Step]] = set()
        same: dict[Step, str] = {}
        for step in steps:
            ways = Step(step.index, wire=step.wire, stamp_shift=step.stamp_shift, changes=step.changes)
            kind = replace(ways, index=0)
            event_type = self.batches[step.index][0].type
            if kind == Step(0) or (event_type, kind) in seen:
                continue
            seen.add((event_type, kind))
            shot, usual = (self._made(one, Stamp(NOON, "0")) for one in (ways, Step(step.index)))
            same.setdefault(kind, shot.feed.full_name)
            if shot.request != usual.request:
                same[kind] = ""
        for name in filter(None, same.values()):
            raise CannotChange(f"requests of {name} are the same, however they are written or dated so")

    def __call__(self, step: Step, millis: int) -> Shot:
        """Return the shot of a step that leaves at this time; steps that share a signing share its time and nonce."""
        key = (step.index, step.signing)
        if key not in self._stamps:
            first = next((one for (index, _), one in self._stamps.items() if index == step.index), None)
            number = sum(index == step.index for index, _ in self._stamps) + 1
            nonce = self._nonces()
            ids = self._delivery_ids
            delivery = ids[step.index] if ids else nonce if first is None else first.delivery
            self._stamps[key] = Stamp(millis, nonce, delivery, number)
        stamp = self._stamps[key]
        shot = self._made(step, stamp)
        limit = shot.feed.freshness
        aged = limit is not None and millis - stamp.millis > limit * 1000
        if step.changes or step.stamp_shift or aged:
            shot = judged(shot, self.credentials, millis)
        return shot

    def _made(self, step: Step, stamp: Stamp) -> Shot:
        events = self.batches[step.index]
        feed = self.provider.feed_of(events[0].type)
        shifted = stamp._replace(millis=stamp.millis + step.stamp_shift)
        way = Way(self.endpoint_of(feed), step.wire)
        body = self._bodies[step.index] if self._bodies else None
        if body is not None and step.wire != NO_WIRE and feed.body(events, step.wire) != feed.body(events):
            body = None
        return made(feed, events, self.credentials, shifted, way, step.changes, describe(step), body)


def describe(step: Step) -> str:
    """Return in a few words which request of the plan this is."""
    words = [f"delivery {step.index + 1}"]
    if step.copy:
        words.append(f"copy {step.copy + 1}")
    if step.attempt:
        words.append(f"attempt {step.attempt + 1}")
    return ", ".join(words)
