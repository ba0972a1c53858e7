"""What a provider contract is made of: plain values and pure functions over them.

Nothing here performs I/O, reads a clock or draws a random number: whoever calls a
contract passes the time and the nonce in as a `Stamp`. Two rules every provider keeps:

* `request` returns the exact bytes that go out; nobody edits them by accident later.
* `judge` alone decides whether a reply is an acknowledgement, and names the rule.
"""

from __future__ import annotations

import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote_plus

from provider_mock.wire import AS_DOCUMENTED, Wire

if TYPE_CHECKING:
    from schemas import Catalogue

DOCUMENTED = Wire()
NO_SECRET = "none"
"""What is given as the secret where nothing is signed."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: the name of its event type and its payload."""

    type: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The application's key and the secret shared with the provider.

    `app_secret` is None where the provider is told to send no signature (Tencent without
    a callback token). It never shows in a `repr`.
    """

    app_key: str
    app_secret: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes one signing unlike the next: UTC milliseconds and a nonce."""

    millis: int
    nonce: str


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, as bytes on the wire: headers in the order and case in which they go out."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"
    chunked: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the receiver answered, and after how many seconds."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True)
class NoReply:
    """No complete answer: the deadline passed, or the connection failed."""

    kind: Literal["timed-out", "unreachable"]
    detail: str
    seconds: float


class Outcome(Enum):
    """What one attempt came to, in the provider's eyes. A time-out may still have been received."""

    ACKED = "acked"
    REFUSED = "refused"
    TIMED_OUT = "timed out"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An outcome and, in one clause, the rule that decided it."""

    outcome: Outcome
    rule: str


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and when a provider sends again, and what it does when that is used up.

    `retries` and `spacing` (seconds) are by the outcome of the last attempt; an outcome that
    is not listed is not retried. `exhausted` says whether the delivery is then dropped or
    parked for manual synchronisation, where `backlog` deliveries at most can wait; beyond that
    they are dropped. After `pause_after` time-outs in a row (0: never) nothing is sent for
    `pause_seconds`.
    """

    summary: str
    retries: Mapping[Outcome, int] = field(default_factory=dict)
    spacing: Mapping[Outcome, float] = field(default_factory=dict)
    exhausted: Literal["dropped", "parked"] = "dropped"
    backlog: int = 0
    signed_afresh: bool = True
    pause_after: int = 0
    pause_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """What happens to a delivery now; `after` (seconds) only with `retry`."""

    action: Literal["done", "retry", "dropped", "parked"]
    after: float = 0.0


DONE = NextAttempt("done")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One signature parameter: its name, where it travels and what it is for.

    Roles: `time`, `nonce`, `digest` (of the body) and `signature` take part in the
    signature; `key` names the application.
    """

    name: str
    place: Literal["header", "query"]
    role: Literal["key", "time", "nonce", "digest", "signature"]

    def values(self, request: Request) -> list[str]:
        """Return every value that the request gives this parameter."""
        if self.place == "header":
            return [v for k, v in request.headers if k.lower() == self.name.lower()]
        return [v for k, v in query_pairs(request.url) if k == self.name]

    def given(self, request: Request, *values: str) -> Request:
        """Return the request with exactly these values of the parameter (none: it is left out)."""
        if self.place == "header":
            spelled = next((k for k, _ in request.headers if k.lower() == self.name.lower()), self.name)
            kept = tuple(h for h in request.headers if h[0].lower() != self.name.lower())
            return replace(request, headers=kept + tuple((spelled, v) for v in values))
        kept_pairs = [p for p in query_pairs(request.url) if p[0] != self.name]
        return replace(request, url=with_query(request.url, kept_pairs + [(self.name, v) for v in values]))


def query_pairs(url: str) -> list[tuple[str, str]]:
    """Return the decoded name-value pairs of a URL's query, in order."""
    query = url.partition("#")[0].partition("?")[2]
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote_plus(name), unquote_plus(value)) for name, _, value in pairs]


def with_query(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return the URL with its query replaced by the pairs."""
    base = url.partition("#")[0].partition("?")[0]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='.:')}" for name, value in pairs)
    return f"{base}?{query}" if query else base


class BadCredentials(ValueError):
    """The given app key or secret (`which`) cannot be used with a provider. Never contains the secret."""

    def __init__(self, which: str, problem: str) -> None:
        super().__init__(problem)
        self.which = which


class Provider(ABC):
    """How one IM service calls a team's server.

    A provider is a module with one subclass and one instance, `PROVIDER`, and a folder of
    schemas. All methods are pure.
    """

    name: str
    title: str
    deadline: float
    """Seconds within which the receiver must answer."""
    defaults: Credentials
    """The credentials a run uses when none are given; they open nothing."""
    parameters: tuple[Parameter, ...]
    """The parameters that identify and sign a request, in the order in which they are documented."""
    policies: Mapping[str, RetryPolicy]
    """Retry policies by name, the default first."""
    batches: bool = False
    """Whether one request carries an array of events."""
    unsigned: bool = False
    """Whether the provider can be set to send no signature."""
    freshness: float | None = None
    """Seconds a signature stays valid by the documents, if they say."""
    content_type: str | None = "application/json"
    unknown_type: Mapping[str, Any] = {}
    """Fields that turn a payload into one of an event type that does not exist."""
    sources: Mapping[str, str]
    """Where the rules come from, by topic: transport, signature, ack, deadline, retry, duplicates,
    order, payload, application."""

    @cached_property
    def catalogue(self) -> Catalogue:
        """The provider's event types; a provider outside this project loads its own folder here."""
        import schemas

        return schemas.catalogue(self.name)

    def credentials(self, app_key: str | None, app_secret: str | None) -> Credentials:
        """Return credentials as a user gives them; raises `BadCredentials`.

        What is None is taken from `defaults`; the word `none` as the secret means that nothing is signed.
        """
        for which, value in (("key", app_key), ("secret", app_secret)):
            if value == "":
                raise BadCredentials(which, f"it is empty; give it, or leave it out for the test {which}")
            if value and any("\ud800" <= character <= "\udfff" for character in value):
                raise BadCredentials(which, "it is not UTF-8; give it in UTF-8")
        if app_key and not app_key.isprintable():
            raise BadCredentials("key", "it holds a line break or another control character; give it without")
        if app_secret == NO_SECRET and not self.unsigned:
            raise BadCredentials("secret", f"{self.name} always signs; give it, or leave it out for the test secret")
        secret = self.defaults.app_secret if app_secret is None else None if app_secret == NO_SECRET else app_secret
        return Credentials(self.defaults.app_key if app_key is None else app_key, secret)

    @abstractmethod
    def request(
        self,
        events: Sequence[Event],
        endpoint: str,
        credentials: Credentials,
        stamp: Stamp,
        wire: Wire = DOCUMENTED,
    ) -> Request:
        """Return the signed request that delivers the events to the endpoint."""

    def request_written(
        self, event_type: str, text: str, endpoint: str, credentials: Credentials, stamp: Stamp
    ) -> Request:
        """Return the request of `request` for events whose payloads are written already: a JSON array, compact, unescaped.

        A provider whose body is that text, or what stands in it, need not read it and write it again.
        """
        events = [Event(event_type, payload) for payload in json.loads(text)]
        return self.request(events, endpoint, credentials, stamp)

    @abstractmethod
    def sign(
        self, body: bytes, command: str, endpoint: str, credentials: Credentials, stamp: Stamp, wire: Wire = DOCUMENTED
    ) -> Request:
        """Return the signed request for a body as it stands; `command` is the provider's code of the event type."""

    @abstractmethod
    def verify(self, request: Request, credentials: Credentials, now_millis: int) -> str | None:
        """Return what is wrong with a request's signature, or None. Never contains the secret."""

    @abstractmethod
    def judge(self, reply: Reply | NoReply) -> Judgement:
        """Return what the provider makes of a reply."""

    def probe(self, endpoint: str, credentials: Credentials, stamp: Stamp) -> Request | None:
        """Return the handshake that the provider's console sends when an address is saved, if documented."""
        del endpoint, credentials, stamp
        return None

    def failed(self, payload: Mapping[str, Any]) -> bool:
        """Return whether a payload reports that something did not happen, such as a message that was blocked."""
        del payload
        return False

    @abstractmethod
    def shell(self) -> Mapping[str, str]:
        """Return POSIX shell expressions that sign afresh, in the order in which they are set.

        `T` comes first: the time in the provider's own unit, from `$NOW` in seconds. The names of
        parameters follow. An expression may use what was set before it, `$SECRET` and the file
        `body.json`.
        """

    def next_attempt(self, outcomes: Sequence[Outcome], policy: RetryPolicy) -> NextAttempt:
        """Return what follows the attempts made so far (at least one)."""
        last = outcomes[-1]
        if last is Outcome.ACKED:
            return DONE
        if len(outcomes) <= policy.retries.get(last, 0):
            return NextAttempt("retry", policy.spacing.get(last, 0.0))
        return NextAttempt(policy.exhausted if last in policy.retries else "dropped")

    def parameter(self, role: str) -> Parameter:
        """Return the parameter with this role; LookupError if the provider has none."""
        for parameter in self.parameters:
            if parameter.role == role:
                return parameter
        raise LookupError(f"{self.name} has no signature parameter with the role {role!r}")

    def headers(self, wire: Wire, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Return the headers of a provider whose parameters all travel there: Content-Type, then these in order."""
        documented = wire.header_case == "documented"
        names = self._names if documented else [wire.header(name) for name in self._names]
        return (*self.content_type_header(wire), *zip(names, values, strict=True))

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    def content_type_header(self, wire: Wire) -> list[tuple[str, str]]:
        """Return the Content-Type header that this wire sends, or none."""
        value = self.content_type if wire.content_type is AS_DOCUMENTED else wire.content_type
        return [] if value is None else [(wire.header("Content-Type"), value)]

    def once(self, request: Request) -> dict[str, str] | str:
        """Return the value of each parameter, or what is wrong where one is not given exactly once."""
        found: dict[str, str] = {}
        for parameter in self.parameters:
            values = parameter.values(request)
            if len(values) != 1:
                return f"{parameter.name} is given {len(values)} times in the {parameter.place}, not once"
            found[parameter.name] = values[0]
        return found

    def payloads(self, document: Any) -> list[Any]:
        """Return the payloads that a decoded request body carries."""
        return document if self.batches and isinstance(document, list) else [document]

    def has(self, role: str) -> bool:
        """Return whether the provider has a parameter with this role."""
        return any(p.role == role for p in self.parameters)


def octets(text: str) -> bytes:
    """Return a text as UTF-8; bytes that were none when it was read are restored."""
    return text.encode("utf-8", "surrogateescape")


def same(given: str, due: str) -> bool:
    """Return whether two texts are equal, in constant time."""
    return hmac.compare_digest(octets(given), octets(due))


def in_time(reply: Reply | NoReply, deadline: float) -> Reply | Judgement:
    """Return the reply if it came in time, else the judgement that every provider passes on it."""
    if isinstance(reply, NoReply):
        if reply.kind == "timed-out":
            return Judgement(Outcome.TIMED_OUT, f"no complete answer within {deadline:g} s")
        return Judgement(Outcome.UNREACHABLE, reply.detail)
    if reply.seconds > deadline:
        return Judgement(Outcome.TIMED_OUT, f"answered after {reply.seconds:.3f} s, later than {deadline:g} s")
    return reply
