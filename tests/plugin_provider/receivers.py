"""Receivers of Acme's event hooks, written from the Standard Webhooks specification alone: good ones, and mutants.

A mutant overrides one small method of a good one; `caught_by` names the checks that must find it, without the provider.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from bisect import insort
from collections.abc import Sequence
from typing import Any, ClassVar

from tests.receivers.good import Answer, Request

SECRET = base64.b64decode("dGVzdC1zZWNyZXQtb2YtMjQtYnl0ZXM=")
TOLERANCE = 300
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Hooks:
    """Verifies, and records what is new under one lock, before it answers."""

    server: ClassVar[str] = "waitress"
    caught_by: ClassVar[frozenset[str] | set[str]] = frozenset()
    could_not_run: ClassVar[frozenset[str] | set[str]] = frozenset()
    not_applicable: ClassVar[frozenset[str] | set[str]] = frozenset()
    deadline: ClassVar[float | None] = None
    """Seconds that the run waits in the place of the provider's, so that the proof is quick."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.stopped = threading.Event()
        self.known: set[Any] = set()
        self.states: dict[str, dict[str, Any]] = {}
        self.removed: dict[str, int] = {}
        self.messages: list[dict[str, Any]] = []

    def close(self) -> None:
        """Let go of everything that waits."""
        self.stopped.set()

    def receive(self, request: Request) -> Answer:
        """Answer one request."""
        metadata = [self.header(request, name) for name in HEADERS]
        if not self.genuine(*metadata, request.body):
            return self.refusal()
        try:
            event = self.parse(request.body)
        except (ValueError, RecursionError):
            return Answer(400)
        with self.lock:
            return self.take(metadata, event)

    def take(self, metadata: Sequence[str], event: dict[str, Any]) -> Answer:
        """Record an event unless it is there already."""
        key = self.key(metadata, event)
        if key in self.known:
            return self.repeated()
        self.known.add(key)
        keep = {"presence.changed": self.presence, "message.created": self.message}.get(str(event.get("type")))
        if keep is None:
            return self.unknown()
        data = event["data"]
        keep({"type": event["type"], **data})
        return self.accepted()

    # Answers

    def accepted(self) -> Answer:
        """Return what acknowledges: any 2xx will do."""
        return Answer(204)

    def repeated(self) -> Answer:
        """Return what is said to what is there already."""
        return self.accepted()

    def unknown(self) -> Answer:
        """Return what is said to an event type that is not known."""
        return self.accepted()

    def refusal(self) -> Answer:
        """Return what is said to a request that is not the provider's."""
        return Answer(401)

    # Is it from the provider?

    def header(self, request: Request, name: str) -> str:
        """Return a header's value, or nothing."""
        return ", ".join(value for given, value in request.headers if given.lower() == name)

    def genuine(self, identity: str, moment: str, signatures: str, body: bytes) -> bool:
        """Return whether a signature fits that the provider made not long ago."""
        due = self.due(SECRET, identity, moment, body)
        return identity != "" and self.recent(moment) and any(self.fits(one, due) for one in self.split(signatures))

    def due(self, secret: bytes, identity: str, moment: str, body: bytes) -> str:
        """Return the signature that is due."""
        signed = f"{identity}.{moment}.".encode() + body
        return "v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()

    def split(self, signatures: str) -> list[str]:
        """Return the signatures that are looked at."""
        return signatures.split(" ")

    def fits(self, given: str, due: str) -> bool:
        """Return whether a signature is the one that is due."""
        return hmac.compare_digest(given.encode(), due.encode())

    def recent(self, moment: str) -> bool:
        """Return whether it was signed not long ago."""
        return moment.isascii() and moment.isdigit() and abs(int(moment) - time.time()) <= TOLERANCE

    # What does it say?

    def parse(self, body: bytes) -> dict[str, Any]:
        """Return the event; ValueError or RecursionError if it is none."""
        event = json.loads(body.decode(), parse_constant=_refuse)
        if isinstance(event, dict) and isinstance(event.get("data"), dict):
            return event
        raise ValueError("no event")

    def key(self, metadata: Sequence[str], event: dict[str, Any]) -> Any:
        """Return by what a delivery is known again."""
        return metadata[0]

    # What is kept?

    def presence(self, data: dict[str, Any]) -> None:
        """Keep the newest state of everyone; of those who left, how new that is."""
        who, version = data["user"], self.number(data["version"])
        old = self.states.get(who)
        if (old is not None and self.number(old["version"]) > version) or (
            who in self.removed and self.removed[who] >= version
        ):
            return
        if data["state"] == "offline":
            self.leave(who, version)
        else:
            self.states[who] = data

    def leave(self, who: str, version: Any) -> None:
        """Take the state of somebody away who left."""
        self.removed[who] = version
        self.states.pop(who, None)

    def number(self, version: Any) -> Any:
        """Return a version as it is compared."""
        return int(version)

    def message(self, data: dict[str, Any]) -> None:
        """Keep a message where it belongs."""
        insort(self.messages, data, key=lambda one: (str(one["conversation"]), int(one["sequence"])))

    def effects(self) -> Any:
        """Return what the application shows."""
        with self.lock:
            return [*self.states.values(), *self.messages]


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


class History(Hooks):
    """Keeps every change as it came in, those who leave too, and knows an event by what it says, not by its delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[str, int] = {}
        self.log: list[dict[str, Any]] = []

    def key(self, metadata: Sequence[str], event: dict[str, Any]) -> Any:
        """Return the identity of an event."""
        data = event["data"]
        return (event.get("type"), *(str(data.get(name)) for name in ("id", "user", "version")))

    def accepted(self) -> Answer:
        """Acknowledge with a status and words of its own."""
        return Answer(202, '{"queued": true}')

    def presence(self, data: dict[str, Any]) -> None:
        """Append a change, unless a newer one is there."""
        if self.newest.get(data["user"], -1) < int(data["version"]):
            self.newest[data["user"]] = int(data["version"])
            self.log.append({"type": data.pop("type"), "data": data})

    def effects(self) -> Any:
        """Return the changes, in the envelope in which they came, and then the messages."""
        with self.lock:
            return [*self.log, *self.messages]


GOOD = (Hooks, History)

# Mutants

REJECTS = {
    f"signature.rejects-{slug}"
    for slug in (
        "tampered-body",
        "foreign-headers",
        "wrong-secret",
        "empty-secret",
        "altered-time",
        "altered-id",
        "missing",
        "truncated-signature",
        "stale",
    )
}
REPEATS = {
    "deduplication.far-apart",
    "deduplication.retry-after-lost-ack",
    "deduplication.retry-after-timeout",
    "deduplication.same-request-again",
    "deduplication.retry-signed-afresh",
    "deduplication.retry-reformatted",
    "deduplication.concurrent",
}
OVERTAKEN = {
    "ordering.stale-ignored",
    "ordering.newest-wins",
    "ordering.order-field-decides",
    "ordering.versions-at-once",
}


class AcceptsAnySignature(History):
    """Believes whoever finds the address."""

    caught_by = REJECTS | {"rotation.rejects-none-of-several"}
    not_applicable = frozenset({"signature.refusal-is-visible"})

    def genuine(self, identity: str, moment: str, signatures: str, body: bytes) -> bool:
        return True


class TrustsHeadersItHasSeen(History):
    """Looks at the body only when it sees a signature for the first time."""

    caught_by = frozenset({"signature.rejects-foreign-headers"})

    def genuine(self, identity: str, moment: str, signatures: str, body: bytes) -> bool:
        if (identity, moment, signatures) in self.known:
            return True
        genuine = super().genuine(identity, moment, signatures, body)
        if genuine:
            self.known.add((identity, moment, signatures))
        return genuine


class HashesWhatItParsed(Hooks):
    """Signs the JSON text that it would write itself."""

    caught_by = frozenset({"signature.accepts-raw-bytes"})
    could_not_run = frozenset({"deduplication.retry-reformatted"})

    def genuine(self, identity: str, moment: str, signatures: str, body: bytes) -> bool:
        try:
            body = json.dumps(json.loads(body), ensure_ascii=False, separators=(",", ":")).encode()
        except (ValueError, RecursionError):
            pass
        return super().genuine(identity, moment, signatures, body)


class TakesAnyAge(Hooks):
    """Does not look at when a request was signed."""

    caught_by = frozenset({"signature.rejects-stale"})

    def recent(self, moment: str) -> bool:
        return True


class LooksAtTheFirst(Hooks):
    """Compares the first of several signatures only."""

    caught_by = frozenset({"rotation.accepts-any-of-several"})

    def split(self, signatures: str) -> list[str]:
        return signatures.split(" ")[:1]


class BelievesTheFuture(Hooks):
    """Takes a signature of a version that it does not know for a good one."""

    caught_by = frozenset({"rotation.rejects-none-of-several"})

    def fits(self, given: str, due: str) -> bool:
        return given.startswith("v9,") or super().fits(given, due)


class ComparesTheBeginning(Hooks):
    """Compares as many characters as it was given."""

    caught_by = frozenset({"signature.rejects-truncated-signature", "signature.rejects-missing"})

    def fits(self, given: str, due: str) -> bool:
        return due.startswith(given)


class HasNoSecret(Hooks):
    """Also takes what is signed with nothing."""

    caught_by = frozenset({"signature.rejects-empty-secret"})

    def genuine(self, identity: str, moment: str, signatures: str, body: bytes) -> bool:
        empty = self.due(b"", identity, moment, body)
        return signatures == empty or super().genuine(identity, moment, signatures, body)


class CrashesWithoutHeaders(Hooks):
    """Reads the time before it looks whether there is one."""

    caught_by = frozenset({"signature.rejects-missing"})

    def recent(self, moment: str) -> bool:
        return abs(int(moment) - time.time()) <= TOLERANCE


class RefusesWithSuccess(Hooks):
    """Says 202 to what it refuses."""

    caught_by = frozenset({"signature.refusal-is-visible"})

    def refusal(self) -> Answer:
        return Answer(202)


class DeduplicatesNothing(Hooks):
    """Records whatever comes, as often as it comes; of one state there is one all the same."""

    caught_by = REPEATS

    def key(self, metadata: Sequence[str], event: dict[str, Any]) -> Any:
        return object()


class KnowsSignatures(Hooks):
    """Tells deliveries apart by their signatures."""

    caught_by = frozenset(
        {"deduplication.far-apart", "deduplication.retry-signed-afresh", "deduplication.retry-reformatted"}
    )

    def key(self, metadata: Sequence[str], event: dict[str, Any]) -> Any:
        return metadata[2]


class RefusesItsRetry(Hooks):
    """Answers 409 to what it has already."""

    caught_by = REPEATS

    def repeated(self) -> Answer:
        return Answer(409)


class KnowsNoOthers(Hooks):
    """Answers 422 to event types that it does not know."""

    caught_by = frozenset({"acknowledgement.acks-unknown-type"})

    def unknown(self) -> Answer:
        return Answer(422)


class LetsTheLastWin(Hooks):
    """Keeps whatever state comes last."""

    caught_by = OVERTAKEN | {"ordering.late-after-removal", "ordering.late-removal"}

    def presence(self, data: dict[str, Any]) -> None:
        if data["state"] == "offline":
            self.states.pop(data["user"], None)
        else:
            self.states[data["user"]] = data


class ComparesTexts(Hooks):
    """Compares versions as texts."""

    caught_by = frozenset({"ordering.order-field-decides"})

    def number(self, version: Any) -> Any:
        return str(version)


class ForgetsWhoLeft(Hooks):
    """Keeps nothing of those who leave, so that they are back with a state that comes late."""

    caught_by = frozenset({"ordering.late-after-removal"})

    def leave(self, who: str, version: Any) -> None:
        self.states.pop(who, None)


class ShowsByArrival(Hooks):
    """Shows messages as they came."""

    caught_by = frozenset({"ordering.listed-in-order"})

    def message(self, data: dict[str, Any]) -> None:
        self.messages.append(data)


class LosesWhatItAcknowledged(Hooks):
    """Acknowledges, and has room for a hundred messages."""

    caught_by = frozenset({"acknowledgement.nothing-acked-is-lost"})

    def message(self, data: dict[str, Any]) -> None:
        super().message(data)
        self.arrived = [*getattr(self, "arrived", []), str(data["id"])][-100:]
        self.messages = [one for one in self.messages if str(one["id"]) in set(self.arrived)]


class AnswersTooLate(Hooks):
    """Takes longer than the deadline over the first message after those of preflight."""

    caught_by = frozenset({"acknowledgement.within-deadline"})
    could_not_run = frozenset({"acknowledgement.acks-every-type"})
    deadline = 1.0
    looked = warm = False

    def message(self, data: dict[str, Any]) -> None:
        if self.looked and not self.warm:
            self.warm = True
            self.stopped.wait(1.3)
        super().message(data)

    def effects(self) -> Any:
        self.looked = True
        return super().effects()


MUTANTS = tuple(
    one for one in list(globals().values()) if isinstance(one, type) and issubclass(one, Hooks) and one not in GOOD
)
