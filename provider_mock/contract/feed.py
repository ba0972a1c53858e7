"""A feed: how one callback service of a provider calls a team's server, as traits and pure functions.

Nothing here performs I/O, reads a clock or draws a random number: whoever calls a
contract passes the time and the nonce in as a `Stamp`. Two rules every feed keeps:

* `request` returns the exact bytes that go out; nobody edits them by accident later.
* `judge` alone decides whether a reply is an acknowledgement, and names the rule.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qsl, urlencode

from im_callback.provider_mock.answer import declines, quoted
from im_callback.provider_mock.contract.parameters import Parameter
from im_callback.provider_mock.contract.retry import DONE, NextAttempt, RetryPolicy
from im_callback.provider_mock.contract.values import (
    TAKEN,
    Credentials,
    Decision,
    Event,
    Judgement,
    NoReply,
    Outcome,
    Reply,
    Request,
    Stamp,
    Tried,
    Written,
    same,
    type_of,
)
from im_callback.provider_mock.wire import AS_DOCUMENTED, COMMON, FORMS, LONE_OBJECT, NamedWire, Wire, encode, ordered

if TYPE_CHECKING:
    from im_callback.provider_mock.contract.provider import Provider
    from im_callback.provider_mock.traffic.stage import Stage
    from im_callback.schemas import EventType

DOCUMENTED = Wire()
SHOWN = 100
"""Characters of a receiver's words that a rule quotes."""

Covered = Literal["body", "time", "nonce", "id", "key", "url"]
Level = Literal["must", "should", "may"]


class Feed(ABC):
    """How one callback service of an IM service calls a team's server.

    What stands here without a value, or is abstract, a feed must say. All methods are pure.
    """

    name: str
    """Short and unique at its provider, as in `data-sync`."""
    title: str
    encoding: Literal["object", "array", "form"] = "object"
    """What a body is: one event as a JSON object, several as an array of them, or one as a form of text fields.

    A list in the payload stands for a field of the form that is repeated.
    """
    deadline: float
    """Seconds within which the receiver must answer."""
    parameters: tuple[Parameter, ...] = ()
    """The parameters that identify and sign a request, in the order in which they are documented."""
    context: tuple[Parameter, ...] = ()
    """Parameters beside the signature: the event type's `code`, and what a request says about where it comes from."""
    covers: frozenset[Covered] = frozenset()
    """What the signature covers."""
    freshness: float | None = None
    """Seconds a signature stays valid by the documents, if they say."""
    acks: frozenset[int] = frozenset({200})
    """The statuses that the provider takes as received."""
    ack_rule: str
    """The same in a clause, as in: CommsEase takes 200 and 500 as received."""
    decides: bool = False
    """Whether the answer decides what becomes of the event; the response schemas say how."""
    undecided: Literal["allowed", "refused", "unknown"] = "unknown"
    """What the provider makes of a question that is not answered in time."""
    policies: Mapping[str, RetryPolicy]
    """Retry policies by name, the default first."""
    content_type: str | None = "application/json"
    content_types: tuple[str | None, ...] = ("application/json;charset=utf-8",)
    """Other ways to say or omit it that the documents or real samples show."""
    unknown_type: Mapping[str, Any] = {}
    """Fields that turn a payload into one of an event type that does not exist; none: it cannot be said."""
    sources: Mapping[str, str]
    """Where the rules come from, by topic."""
    levels: Mapping[str, Level] = {}
    """How binding the rules of a topic are here, where that is not what the check says by itself."""
    provider: Provider
    """Whose feed it is; set by the provider."""

    documented_wires: ClassVar[Mapping[str, NamedWire]] = {}
    """Ways to write requests that only this feed has."""

    def __repr__(self) -> str:
        return f"<feed {self.full_name}>"

    # What it is called, and what it delivers.

    @cached_property
    def full_name(self) -> str:
        """Provider and feed, as in `commsease.data-sync`."""
        return f"{self.provider.name}.{self.name}"

    @cached_property
    def event_types(self) -> tuple[EventType, ...]:
        """The event types that it delivers, in the catalogue's order."""
        return tuple(one for one in self.provider.catalogue if self.provider.feed_of(one.name) is self)

    @property
    def batches(self) -> bool:
        """Whether one request carries an array of events."""
        return self.encoding == "array"

    @property
    def signs_body(self) -> bool:
        """Whether the signature covers the body's bytes."""
        return "body" in self.covers

    # Requests.

    def request(
        self,
        events: Sequence[Event] | Written,
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the signed request that delivers the events; ValueError for several where one is sent at a time."""
        return self.sign(self.body(events, wire), self.code_of(events), endpoint, credentials, stamp, wire)

    def body(self, events: Sequence[Event] | Written, wire: Wire = DOCUMENTED) -> bytes:
        """Return the events as a body."""
        if isinstance(events, Written):
            text, encoding = events.text, self.encoding
            if wire is DOCUMENTED:
                # Several events, or a string that looks like it, are read.
                if encoding == "object" and "},{" not in text and text != "[]":
                    return text[1:-1].encode()
                if encoding == "array":
                    return text.encode()
            events = [Event(events.type, payload) for payload in json.loads(text)]
        if self.encoding == "array":
            payloads = [event.payload for event in events]
            return encode(payloads[0] if wire.lone_object and len(payloads) == 1 else payloads, wire)
        (event,) = events
        if self.encoding == "form":
            return (urlencode(ordered(event.payload, wire), doseq=True) + wire.tail).encode()
        return encode(event.payload, wire)

    def code_of(self, events: Sequence[Event] | Written) -> str:
        """Return the provider's own code of the events' type, where requests repeat it."""
        if not isinstance(events, Written) and not events:
            return ""
        return self._codes.get(type_of(events), "")

    @cached_property
    def _codes(self) -> dict[str, str]:
        return {one.name: one.code for one in self.provider.catalogue}

    def read(self, body: bytes) -> Any:
        """Return a body as it is decoded: a JSON value, or a form's fields, of which a repeated one is a list.

        Raises ValueError.
        """
        from im_callback.schemas import jsontext

        text = body.decode("utf-8-sig")
        if self.encoding == "form" and text.lstrip()[:1] not in ("{", "["):
            return _fields(parse_qsl(text, keep_blank_values=True, strict_parsing=True))
        return jsontext.parse(text)

    @abstractmethod
    def sign(
        self, body: bytes, code: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the signed request for a body as it stands; `code` is the provider's code of the event type."""

    @abstractmethod
    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with a request's signature, or None. Never contains the secret."""

    def probe(self, endpoint: str, credentials: Credentials, stamp: Stamp) -> Request | None:
        """Return the handshake that the provider's console sends when an address is saved, if documented."""
        del endpoint, credentials, stamp
        return None

    @abstractmethod
    def shell(self) -> Mapping[str, str]:
        """Return POSIX shell expressions that sign afresh, in the order in which they are set.

        `T` comes first: the time in the feed's own unit, from `$NOW` in seconds. The names of
        parameters follow. An expression may use what was set before it, `$SECRET` and the file
        `body.json`. As a variable a name has `_` for whatever cannot stand in one: `X-Hook-Id` is
        `$X_Hook_Id`.
        """

    # Replies.

    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return what the provider makes of a reply: by its status, unless the receiver's own words decline it."""
        if isinstance(reply, NoReply) or reply.seconds > self.deadline:
            late = in_time(reply, self.deadline)
            assert isinstance(late, Judgement)
            return late
        status = reply.status
        judgement = _by_status(status, status in self.acks, self.ack_rule)
        if status < 300 and judgement.outcome is Outcome.ACKED and declines(reply.body, reply.headers):
            # An answer that decides may well say no.
            return judgement if self.decides and self.decision(reply) is not None else declined(reply)
        return judgement

    def decision(self, reply: Reply | NoReply) -> Decision | None:
        """Return what an answer decides; None where it decides nothing."""
        del reply
        return None

    def modified(self, payload: Mapping[str, Any], reply: Reply | NoReply) -> Mapping[str, Any]:
        """Return the payload as an answer changes it, as far as the answer says it in the payload's own form."""
        del reply
        return payload

    def says_no(self, reply: Reply | NoReply) -> bool:
        """Return whether a reply says, in the way that the provider documents, that the delivery was not taken."""
        del reply
        return False

    def next_attempt(self, attempts: Sequence[Tried], policy: RetryPolicy) -> NextAttempt:
        """Return what follows the attempts made so far (at least one)."""
        last = attempts[-1].outcome
        if last in TAKEN:
            return DONE
        if len(attempts) <= policy.retries.get(last, 0):
            return NextAttempt("retry", policy.after(last, len(attempts)))
        return NextAttempt(policy.exhausted if last in policy.retries else "dropped")

    # Payloads.

    def payloads(self, document: Any) -> list[Any]:
        """Return the payloads that a decoded request body carries."""
        return document if self.batches and isinstance(document, list) else [document]

    # How it is written.

    @property
    def wires(self) -> Mapping[str, NamedWire]:
        """How requests can be written, by the names that users give."""
        if self.encoding == "form":
            return {**{name: COMMON[name] for name in FORMS}, **self.documented_wires}
        arrays = {"lone-object": LONE_OBJECT} if self.batches else {}
        return {**COMMON, **arrays, **self.documented_wires}

    def parameters_in(self, wire: Wire) -> tuple[Parameter, ...]:
        """Return the parameters as this wire spells them, in the order of `parameters`."""
        del wire
        return self.parameters

    def parameter(self, role: str, wire: Wire = DOCUMENTED) -> Parameter:
        """Return the parameter with this role, as the wire spells it; LookupError if the feed has none."""
        for parameter in self.parameters_in(wire):
            if parameter.role == role:
                return parameter
        raise LookupError(f"{self.full_name} has no signature parameter with the role {role!r}")

    def has(self, role: str) -> bool:
        """Return whether the feed has a parameter with this role."""
        return any(p.role == role for p in self.parameters)

    def headers(self, wire: Wire, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Return the headers of a feed whose parameters all travel there: Content-Type, then these in order."""
        if wire is DOCUMENTED:
            return (*self._content_type, *zip(self._names, values, strict=True))
        names = self._names if wire.header_case == "documented" else [wire.header(name) for name in self._names]
        return (*self.content_type_header(wire), *zip(names, values, strict=True))

    @cached_property
    def _content_type(self) -> tuple[tuple[str, str], ...]:
        return tuple(self.content_type_header(DOCUMENTED))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def story(self, stage: Stage) -> Iterator[tuple[Event, ...]] | None:
        """Return what its deliveries tell, endlessly and in order; None: its events are made up one by one."""
        del stage
        return None

    def content_type_header(self, wire: Wire) -> list[tuple[str, str]]:
        """Return the Content-Type header that this wire sends, or none."""
        value = self.content_type if wire.content_type is AS_DOCUMENTED else wire.content_type
        if value is not None and self.encoding == "form":
            value = value.replace("application/json", "application/x-www-form-urlencoded")
        return [] if value is None else [(wire.header("Content-Type"), value)]

    def other_app(self, given: str, credentials: Credentials) -> str | None:
        """Return what is wrong with the key of the application that a request names, or None."""
        if same(given, credentials.app_key):
            return None
        return f"the {self.parameter('key').name} is {given!r}, not {credentials.app_key!r}"

    def once(self, request: Request) -> dict[str, str] | str:
        """Return the value of each parameter, or what is wrong where one is not given exactly once."""
        found: dict[str, str] = {}
        for parameter in self.parameters:
            values = parameter.values(request)
            if parameter.optional and not values:
                continue
            if len(values) != 1:
                return f"{parameter.name} is given {len(values)} times in the {parameter.place}, not once"
            found[parameter.name] = values[0]
        return found


def _fields(pairs: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return {name: found if len(found) > 1 else found[0] for name, found in values.items()}


@lru_cache
def _by_status(status: int, acked: bool, rule: str) -> Judgement:
    return Judgement(Outcome.ACKED if acked else Outcome.REFUSED, f"status {status}; {rule}")


def declined(reply: Reply) -> Judgement:
    """Return the judgement on a reply that would be an ack, had it not said in its own words that it is none."""
    return Judgement(
        Outcome.DECLINED,
        f"status {reply.status}, but the receiver's own words decline it: {quoted(reply.body, reply.headers, SHOWN)}",
    )


def in_time(reply: Reply | NoReply, deadline: float) -> Reply | Judgement:
    """Return the reply if it came in time, else the judgement that every provider passes on it."""
    if isinstance(reply, NoReply):
        if reply.kind == "timed-out":
            return Judgement(Outcome.TIMED_OUT, f"no complete answer within {deadline:g} s")
        return Judgement(Outcome.UNREACHABLE, reply.detail)
    if reply.seconds > deadline:
        return Judgement(Outcome.TIMED_OUT, f"answered after {reply.seconds:.3f} s, later than {deadline:g} s")
    return reply
