"""Receivers with one planted defect each, and exactly which checks catch it.

`caught_by` names, for every provider that the defect is tried at, the checks that fail, without the
provider's name in front. What could not be judged for lack of a working receiver is in `could_not_run`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, ClassVar

from im_callback import schemas

from tests.receivers.good import (
    TENCENT_OK,
    Answer,
    Entry,
    Good,
    Plain,
    Request,
    StateOnly,
    number,
    refuse,
    text,
)

C, R, T = PROVIDERS = ("commsease", "rongcloud", "tencent")
Checks = Mapping[str, AbstractSet[str]]

ALL_BUT_PREFLIGHT = frozenset({"every check that needs a receiver that accepts deliveries"})
"""In `could_not_run`: every check outside preflight."""
ALL_WITH_EFFECTS = frozenset({"every check that needs effects"})
"""In `could_not_run`: every check outside preflight that could not run without effects."""

ALL_THAT_LOOK = frozenset({"every check that looks at effects where there are some"})
"""In `could_not_run`: every check that concludes nothing from a status where effects were given and show nothing."""
STATUS_ONLY = {
    "acknowledgement.acks-every-type",
    "acknowledgement.acks-probe",
    "acknowledgement.acks-unknown-type",
    "acknowledgement.acks-with-200",
    "acknowledgement.answer-shape",
    "acknowledgement.exact-status",
    "acknowledgement.within-deadline",
    "signature.refusal-is-visible",
}
"""What is judged by the answers alone."""
REJECTS = {
    C: {
        "signature.rejects-tampered-body",
        "signature.rejects-recomputed-md5",
        "signature.rejects-foreign-headers",
        "signature.rejects-wrong-secret",
        "signature.rejects-empty-secret",
        "signature.rejects-key-as-secret",
        "signature.rejects-altered-time",
        "signature.rejects-missing",
        "signature.rejects-truncated-signature",
        "signature.rejects-wrong-md5-header",
        "signature.rejects-foreign-app",
        "signature.rejects-stale",
    },
    R: {
        "signature.rejects-wrong-secret",
        "signature.rejects-empty-secret",
        "signature.rejects-key-as-secret",
        "signature.rejects-altered-time",
        "signature.rejects-altered-nonce",
        "signature.rejects-missing",
        "signature.rejects-truncated-signature",
        "signature.rejects-foreign-app",
        "signature.rejects-stale",
    },
    T: {
        "signature.rejects-key-as-secret",
        "signature.rejects-wrong-secret",
        "signature.rejects-empty-secret",
        "signature.rejects-altered-time",
        "signature.rejects-missing",
        "signature.rejects-truncated-signature",
        "signature.rejects-foreign-app",
        "signature.rejects-stale",
    },
}
"""Every check for a bad signature."""
REPEATS = {
    "deduplication.far-apart",
    "deduplication.retry-after-lost-ack",
    "deduplication.retry-after-timeout",
    "deduplication.same-request-again",
    "deduplication.retry-signed-afresh",
    "deduplication.retry-reformatted",
    "deduplication.concurrent",
}
"""Every check for repeated deliveries."""
UNSEEN = {"deduplication.retry-after-lost-ack", "deduplication.retry-after-timeout"}
"""Every check for what is delivered again because nobody saw the answer."""
STALE = {
    "ordering.stale-ignored",
    "ordering.newest-wins",
    "ordering.order-field-decides",
    "ordering.versions-at-once",
}
"""Every check for states that overtake each other."""
NO_STATES = STALE | {
    "ordering.late-after-removal",
    "ordering.late-removal",
    "ordering.recall-before-message",
    "ordering.scopes-are-independent",
}
"""What does not apply to a receiver that records neither states nor recalls."""
UNPROVEN = {
    C: {"deduplication.nothing-doubled", "signature.no-phantoms"},
    R: {"deduplication.nothing-doubled", "signature.no-phantoms"},
    T: {"deduplication.nothing-doubled", "signature.no-phantoms", "signature.rejects-command-mismatch"},
}
"""What cannot be judged, beside refusals, once valid deliveries leave no effect."""
LATER = {"deduplication.far-apart", "robustness.connection-reuse"}
"""What is sent at the end, where nothing may work any more."""
AFTER_BROKEN_JSON = LATER | {
    "robustness.cut-off-body",
    "robustness.oversized",
    "robustness.trickled-body",
    "robustness.wrong-method",
    "robustness.wrong-types",
    "robustness.empty-body",
    "robustness.invalid-utf8",
    "signature.accepts-chunked",
    "signature.accepts-content-type",
    "signature.accepts-non-ascii",
    "signature.accepts-platforms",
}
"""What could not run at Tencent once nothing works any more after the check with broken JSON."""


def everywhere(*checks: str) -> Checks:
    """Return the same checks for all three providers."""
    return {name: set(checks) for name in PROVIDERS}


def named(schema: Any) -> set[str]:
    """Return every name for which a schema has a rule, wherever in it."""
    if isinstance(schema, list):
        return {name for one in schema for name in named(one)}
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", {}), *(name for one in schema.values() for name in named(one))}


class Mutant(Good):
    """A receiver with one defect."""

    caught_by: ClassVar[Checks] = {}
    could_not_run: ClassVar[Checks] = {}
    not_applicable: ClassVar[Checks] = {}
    """Beyond what is not applicable to any receiver."""
    deadline: ClassVar[float | None] = None
    """Seconds that the run waits in the place of the provider's, so that the proof is quick."""
    races: ClassVar[int] = 1
    """How often identical requests are sent at once, so that the proof is quick."""
    burst: ClassVar[int] = 40
    """How many deliveries make a burst, so that the proof is quick."""


class PlainMutant(Plain, Mutant):
    """A receiver with one defect, behind the simple server."""


# What is there at all


class NobodyListens(Mutant):
    """Is not started."""

    server = "none"
    wired = True
    caught_by = everywhere("preflight.reachable")
    could_not_run = everywhere(
        "preflight.accepts-valid",
        "preflight.effects-answer",
        "preflight.effects-show-delivery",
        "preflight.records",
        *ALL_BUT_PREFLIGHT,
    )


class RefusesEverything(Mutant):
    """Takes every request for a forged one."""

    caught_by = everywhere("preflight.accepts-valid")
    could_not_run = everywhere(
        "preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records", *ALL_BUT_PREFLIGHT
    )

    def genuine(self, request: Request) -> bool:
        return False


class RecordsNothing(Mutant):
    """Acknowledges everything and keeps nothing."""

    caught_by = everywhere("preflight.effects-show-delivery")
    could_not_run = everywhere("preflight.records", *ALL_THAT_LOOK)

    def take(self, entries: Sequence[Entry]) -> None:
        pass


class LosesAType(Mutant):
    """Acknowledges recalls without recording them, although it is said to record them."""

    handles = ("commsease.conversation", "commsease.message-recall")
    caught_by = {C: {"preflight.records"}}
    not_applicable = {C: NO_STATES}
    records = {C: frozenset({"1", "2", "3"})}


class LosesRecalls(Mutant):
    """Acknowledges the recalls of messages without recording them, although it is said to record them."""

    handles = ("tencent.c2c-after-send", "tencent.c2c-after-recall")
    caught_by = {T: {"preflight.records"}}
    not_applicable = {T: NO_STATES}
    records = {T: frozenset({"C2C.CallbackAfterSendMsg"})}


class EffectsAreNoList(Mutant):
    """Shows its effects as an object."""

    caught_by = {R: set()}
    could_not_run = {
        R: {"preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records", *ALL_THAT_LOOK}
    }

    def effects(self) -> Any:
        return {"events": super().effects()}


class EffectsAreSlow(Mutant):
    """Takes longer over its effects than anyone waits."""

    caught_by = everywhere("preflight.effects-answer")
    could_not_run = everywhere("preflight.effects-show-delivery", "preflight.records", *ALL_THAT_LOOK)
    deadline = 1.0
    wired = True

    def effects(self) -> Any:
        self.stopped.wait(1.05)
        return super().effects()


# Is it from the provider?


class NeverVerifies(Mutant):
    """Believes whoever finds the address."""

    caught_by = REJECTS
    not_applicable = everywhere("signature.refusal-is-visible")

    def genuine(self, request: Request) -> bool:
        return True


class VerifiesTooLate(Mutant):
    """Records first and verifies afterwards."""

    caught_by = {name: REJECTS[name] for name in (R, T)}
    not_applicable = {name: {"signature.refusal-is-visible"} for name in (R, T)}

    def receive(self, request: Request) -> Answer:
        try:
            items = self.items(self.parse(self.decode(request.body)))
            self.take([entry for item in items for entry in self.entries_of(request, item)])
        except (ValueError, RecursionError):
            pass
        return super().receive(request)


class TrustsTheMd5Header(Mutant):
    """Puts the MD5 header into the CheckSum in place of the body's own MD5."""

    caught_by = {C: {"signature.rejects-tampered-body", "signature.rejects-foreign-headers"}}

    def digest(self, request: Request) -> str:
        return self.header(request, "MD5")


class IgnoresTheMd5Header(Mutant):
    """Never looks at the MD5 header."""

    caught_by = {C: {"signature.rejects-wrong-md5-header"}}

    def same_digest(self, given: str, due: str) -> bool:
        return True


class ChecksOnlyTheMd5(Mutant):
    """Compares the MD5 header with the body, and never the signature."""

    caught_by = {
        C: {
            "signature.rejects-recomputed-md5",
            "signature.rejects-wrong-secret",
            "signature.rejects-empty-secret",
            "signature.rejects-key-as-secret",
            "signature.rejects-altered-time",
            "signature.rejects-missing",
            "signature.rejects-truncated-signature",
        }
    }

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return True


class SerialisesTheBodyAnew(Mutant):
    """Hashes what its JSON library writes, not what came."""

    caught_by = {C: {"signature.accepts-raw-bytes"}}
    could_not_run = {C: {"deduplication.retry-reformatted"}}

    def digest(self, request: Request) -> str:
        try:
            document = json.loads(request.body)
        except (ValueError, RecursionError):
            return super().digest(request)
        body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
        return hashlib.md5(body, usedforsecurity=False).hexdigest()


class ComparesAPrefix(Mutant):
    """Compares the first eight characters of the signature."""

    caught_by = {name: {"signature.rejects-truncated-signature"} for name in (C, T)}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return given[:8] == self.signature(self.secret, [*fixed, *numbers])[:8]


class TakesABeginning(Mutant):
    """Asks whether the right signature starts with the given one."""

    caught_by = {R: {"signature.rejects-truncated-signature", "signature.rejects-missing"}}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return self.signature(self.secret, [*fixed, *numbers]).startswith(given)


class TakesWhatFollows(Mutant):
    """Asks whether the given signature starts with the right one."""

    caught_by = {T: {"signature.rejects-truncated-signature"}}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return given.startswith(self.signature(self.secret, [*fixed, *numbers]))


class ComparesTexts(Mutant):
    """Compares texts with a function that raises for those outside ASCII."""

    caught_by = {
        C: {"signature.rejects-truncated-signature", "signature.refusal-is-visible"},
        R: {"signature.rejects-truncated-signature"},
    }

    def same(self, given: str, due: str) -> bool:
        return hmac.compare_digest(given, due)


class HasNoSecret(Mutant):
    """Takes the empty secret too, as where it is read from a variable that nobody set."""

    caught_by = {name: {"signature.rejects-empty-secret"} for name in (R, T)}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        parts = [*fixed, *numbers]
        return any(self.same(given, self.signature(secret, parts)) for secret in (self.secret, ""))


class TakesTheKeyForTheSecret(Mutant):
    """Takes what is signed with the app key, as the vendor's sample is."""

    caught_by = {name: {"signature.rejects-key-as-secret"} for name in (C, R, T)}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        parts = [*fixed, *numbers]
        return any(self.same(given, self.signature(secret, parts)) for secret in (self.secret, self.key))


class TriesNeighbours(Mutant):
    """Tries the numbers before those that were signed too, to allow for rounding."""

    caught_by = {
        C: {"signature.rejects-altered-time"},
        R: {"signature.rejects-altered-time", "signature.rejects-altered-nonce"},
        T: {"signature.rejects-altered-time"},
    }

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        tries = [list(numbers)]
        for index, value in enumerate(numbers):
            if value.isdecimal():
                tries.append([*numbers[:index], str(int(value) - 1), *numbers[index + 1 :]])
        return any(self.same(given, self.signature(self.secret, [*fixed, *one])) for one in tries)


class TakesTheUnsigned(Mutant):
    """Verifies a signature only if there is one."""

    caught_by = {name: {"signature.rejects-missing"} for name in (C, T)}

    def signed(self, given: str, fixed: Sequence[str], numbers: Sequence[str]) -> bool:
        return given == "" or super().signed(given, fixed, numbers)


class CrashesOnMissing(Mutant):
    """Takes it for granted that every parameter is there."""

    caught_by = {
        C: {"signature.rejects-missing", "signature.rejects-wrong-md5-header", "signature.refusal-is-visible"},
        T: {"signature.rejects-missing"},
    }

    def only(self, values: Sequence[str]) -> str:
        return values[0]


class TakesTheLastOfTwo(Mutant):
    """Takes the last value where a parameter is given twice."""

    caught_by = {name: {"signature.rejects-missing"} for name in (R, T)}

    def only(self, values: Sequence[str]) -> str:
        return values[-1] if values else ""


class TakesTheLastOfTwoHeaders(PlainMutant):
    """Takes the last value where a header is given twice."""

    caught_by = {C: {"signature.rejects-missing", "signature.rejects-wrong-md5-header"}}

    def only(self, values: Sequence[str]) -> str:
        return values[-1] if values else ""


class IgnoresTheApp(Mutant):
    """Never looks for which application a request is."""

    caught_by = everywhere("signature.rejects-foreign-app")

    def same_app(self, key: str) -> bool:
        return True


class NeverForgets(Mutant):
    """Takes signatures of any age."""

    caught_by = {
        C: {"signature.rejects-stale"},
        R: {"signature.rejects-stale"},
        T: {"signature.rejects-stale"},
    }

    def recent(self, stamp: str, per_second: int, seconds: int) -> bool:
        return True


class RefusesWith200(Mutant):
    """Says in the body that it refuses, and 200 in the status."""

    caught_by = {name: {"signature.refusal-is-visible"} for name in (C, R)}

    def refusal(self) -> Answer:
        return Answer(200, '{"ActionStatus":"FAIL","ErrorInfo":"bad signature","ErrorCode":1}')


class RefusesWith500(Mutant):
    """Refuses by an exception, which is an acknowledgement."""

    caught_by = {C: REJECTS[C] | {"signature.refusal-is-visible"}}

    def refusal(self) -> Answer:
        return Answer(500)


class LocksOut(Mutant):
    """Refuses everything after one bad signature."""

    caught_by = everywhere("robustness.still-alive")
    could_not_run = {
        C: REJECTS[C] | UNPROVEN[C] | LATER,
        R: REJECTS[R] | UNPROVEN[R] | LATER | {"signature.accepts-legacy-names"},
        T: REJECTS[T] | UNPROVEN[T] | LATER | {"signature.accepts-platforms"},
    }

    def refusal(self) -> Answer:
        self.secret = "changed until somebody looks at it"
        return super().refusal()


# Is it read as it came?


class ReadsContentLength(PlainMutant):
    """Reads as many bytes as Content-Length says, and none where it says nothing."""

    caught_by = everywhere("signature.accepts-chunked")

    def body(self, headers: Mapping[str, str], stream: Any) -> bytes:
        return bytes(stream.read(int(headers.get("content-length") or 0)))


class KnowsHeadersBySpelling(PlainMutant):
    """Finds headers only where they are spelled as in the documents."""

    caught_by = {C: {"signature.accepts-header-case"}}

    def header(self, request: Request, name: str) -> str:
        return self.only([value for given, value in request.headers if given == name])


class WantsOneContentType(Mutant):
    """Refuses every content type but application/json."""

    caught_by = everywhere("signature.accepts-content-type")

    def receive(self, request: Request) -> Answer:
        if self.header(request, "Content-Type") != "application/json":
            return Answer(415)
        return super().receive(request)


class DecodesAscii(Mutant):
    """Reads the body as the platform's character set has it, which is ASCII."""

    caught_by = {
        C: {
            "acknowledgement.acks-every-type",
            "payloads.every-variant",
            "signature.accepts-documented",
            "signature.accepts-non-ascii",
        }
    }
    could_not_run = {C: {"signature.accepts-raw-bytes"}}

    def decode(self, body: bytes) -> str:
        return body.decode("ascii")


class DecodesLatin1(Mutant):
    """Reads the body as Latin-1, which never fails and garbles."""

    caught_by = {name: {"signature.accepts-non-ascii", "robustness.invalid-utf8"} for name in (R, T)}

    def decode(self, body: bytes) -> str:
        return body.decode("latin-1")


class KnowsFewPlatforms(Mutant):
    """Refuses platforms that are not on its list."""

    caught_by = {T: {"signature.accepts-platforms"}}

    def genuine(self, request: Request) -> bool:
        return self.parameter(request, "OptPlatform") in ("iOS", "Android") and super().genuine(request)


class BelievesTheUrl(Mutant):
    """Takes the command from the URL."""

    caught_by = {T: {"signature.rejects-command-mismatch"}}

    def code(self, request: Request, item: dict[str, Any]) -> str:
        command = item["CallbackCommand"] = self.parameter(request, "CallbackCommand")
        return command


class ForgetsTheOldName(Mutant):
    """Does not know the parameter signTimestamp."""

    caught_by = {R: {"signature.accepts-legacy-names"}}

    def stamp(self, request: Request) -> str:
        return self.parameter(request, "timestamp")


# What is acknowledged, and how?


class RefusesUnknownTypes(Mutant):
    """Answers 400 to event types that it does not know."""

    caught_by = {
        C: {"acknowledgement.acks-unknown-type", "acknowledgement.acks-probe"},
        R: {"acknowledgement.acks-unknown-type"},
        # Of Tencent's it knows two.
        T: {
            "acknowledgement.acks-every-type",
            "acknowledgement.acks-unknown-type",
            "payloads.every-variant",
            "signature.accepts-documented",
        },
    }

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        found = super().entries_of(request, item)
        if not found and self.happened(item):
            raise ValueError("unknown type")
        return found


class RefusesTheProbe(Mutant):
    """Answers 400 to an object without a type."""

    caught_by = {C: {"acknowledgement.acks-probe"}}

    def items(self, document: Any) -> list[dict[str, Any]]:
        if document == {}:
            raise ValueError("no type")
        return super().items(document)


class RefusesWhatItDoesNotUse(Mutant):
    """Answers 400 to the documented types that it has no use for."""

    caught_by = {
        C: {
            "acknowledgement.acks-every-type",
            "acknowledgement.acks-unknown-type",
            "acknowledgement.acks-probe",
            "payloads.every-variant",
            "signature.accepts-documented",
        },
        R: {
            "ordering.late-after-removal",
            "ordering.late-removal",
            "acknowledgement.acks-every-type",
            "acknowledgement.acks-unknown-type",
            "payloads.every-variant",
            "signature.accepts-documented",
        },
        T: {"acknowledgement.acks-every-type", "payloads.every-variant", "signature.accepts-documented"},
    }

    not_applicable = {C: {"ordering.recall-before-message"}, T: {"payloads.content"}}

    def code(self, request: Request, item: dict[str, Any]) -> str:
        code = super().code(request, item)
        text_only = all(part.get("MsgType") == "TIMTextElem" for part in item.get("MsgBody", ()))
        if (
            (self.provider != T and code not in ("1", "2", "3"))
            or (self.provider == R and code != "1")
            or not text_only
        ):
            raise ValueError("of no use")
        return code


class Answers201(Mutant):
    """Answers 201, for something was created."""

    caught_by = {R: {"preflight.accepts-valid"}, T: {"preflight.accepts-valid"}}
    could_not_run = {
        name: {"preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records", *ALL_BUT_PREFLIGHT}
        for name in (R, T)
    }

    def accepted(self) -> Answer:
        return Answer(201, TENCENT_OK)


class AnswersDeletionsWith204(Mutant):
    """Answers 204 where nothing is left to show."""

    caught_by = {
        R: {
            "ordering.late-after-removal",
            "ordering.late-removal",
            "acknowledgement.acks-every-type",
            "acknowledgement.exact-status",
            "payloads.every-variant",
            "signature.accepts-documented",
        },
        T: {"acknowledgement.exact-status", "payloads.failed-send"},
    }

    def receive(self, request: Request) -> Answer:
        answer = super().receive(request)
        return Answer(204) if answer.status == 200 and self.nothing_left(request) else answer

    def nothing_left(self, request: Request) -> bool:
        """Return whether a request takes something away, or tells of what did not happen."""
        items = self.items(self.parse(self.decode(request.body)))
        return any(text(item.get("optType")) == "2" or not self.happened(item) for item in items)


class CrashesOnAType(Mutant):
    """Raises an exception for recalls, which the framework answers with 500."""

    caught_by = {C: {"acknowledgement.acks-with-200"}}

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        if item.get("eventType") == "7":
            raise KeyError("messageId")
        return super().entries_of(request, item)


class AnswersWithoutErrorInfo(Mutant):
    """Leaves ErrorInfo out of the answer."""

    caught_by = {T: {"acknowledgement.answer-shape"}}

    def accepted(self) -> Answer:
        return Answer(200, '{"ActionStatus":"OK","ErrorCode":0}')


class AnswersInWords(Mutant):
    """Gives ErrorCode as a text."""

    caught_by = {T: {"acknowledgement.answer-shape"}}

    def accepted(self) -> Answer:
        return Answer(200, '{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":"0"}')


class AnswersOk(Mutant):
    """Answers with the word ok, which is not JSON."""

    caught_by = {T: {"preflight.accepts-valid"}}
    could_not_run = {
        T: {"preflight.effects-answer", "preflight.effects-show-delivery", "preflight.records", *ALL_BUT_PREFLIGHT}
    }

    def accepted(self) -> Answer:
        return Answer(200, "ok")


class StartsSlowly(Mutant):
    """Takes longer than the deadline over the first delivery after those of preflight, until its caches are full."""

    caught_by = everywhere("acknowledgement.within-deadline")
    could_not_run = everywhere("acknowledgement.acks-every-type")
    deadline = 2.0
    wired = True
    looked = warm = False

    def take(self, entries: Sequence[Entry]) -> None:
        if self.looked and not self.warm:
            self.warm = True
            self.stopped.wait(2.3)
        super().take(entries)

    def effects(self) -> Any:
        self.looked = True
        return super().effects()


class HasLittleRoom(Mutant):
    """Answers 503 when its queue is full, and works it off only then, or when somebody looks."""

    burst = 200

    caught_by = {name: {"acknowledgement.within-deadline-under-burst"} for name in (R, T)}
    room = 190
    taken = 0

    def receive(self, request: Request) -> Answer:
        with self.lock:
            self.taken += 1
            full = self.taken > self.room
            self.taken = 0 if full else self.taken
        return Answer(503) if full else super().receive(request)

    def effects(self) -> Any:
        self.taken = 0
        return super().effects()


class DropsWhatDoesNotFit(Mutant):
    """Acknowledges and drops what does not fit into the queue of its kind, which is worked off when somebody looks."""

    caught_by = everywhere("acknowledgement.within-deadline-under-burst")
    burst = 200
    room = 150

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.waiting: Counter[str] = Counter()

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            kinds = {entry.kind.stream for entry in entries}
            self.waiting.update(kinds)
            if all(self.waiting[kind] <= self.room for kind in kinds):
                super().take(entries)

    def effects(self) -> Any:
        self.waiting.clear()
        return super().effects()


class KeepsTheLast(Mutant):
    """Keeps the last events, and forgets those before."""

    burst = 200

    caught_by = everywhere("acknowledgement.nothing-acked-is-lost")
    kept: ClassVar[Mapping[str, int]] = {C: 400, R: 250, T: 250}

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.arrived: deque[Entry] = deque()

    def show(self, entry: Entry) -> None:
        super().show(entry)
        self.arrived.append(entry)
        if len(self.arrived) > self.kept[self.provider]:
            oldest = self.arrived.popleft()
            self.entries = [one for one in self.entries if one is not oldest]


class LosesAfterARefusal(Mutant):
    """Acknowledges and drops the delivery that follows a refused one, as its connection is still in error."""

    caught_by = {T: {"acknowledgement.nothing-acked-is-lost", "robustness.connection-reuse"}}
    could_not_run = {T: REJECTS[T]}
    broken = False

    def refusal(self) -> Answer:
        self.broken = True
        return super().refusal()

    def take(self, entries: Sequence[Entry]) -> None:
        if not self.broken:
            super().take(entries)
        self.broken = False


# One event, one effect?


class NeverDeduplicates(Mutant):
    """Records whatever comes."""

    caught_by = {
        C: REPEATS,
        R: REPEATS | {"deduplication.inside-one-batch", "deduplication.across-batches"},
        T: REPEATS,
    }

    def repeated(self, entry: Entry) -> bool:
        return False


class KnowsEventsByTheirText(Mutant):
    """Tells events apart by how their JSON is written."""

    caught_by = {name: {"deduplication.retry-reformatted"} for name in (R, T)}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        return replace(super().entry(kind, code, item), identity=(json.dumps(item),))


class KnowsEventsByTheirSignature(Mutant):
    """Tells deliveries apart by their signature."""

    caught_by = {
        C: {"deduplication.far-apart", "deduplication.retry-signed-afresh", "deduplication.retry-reformatted"},
        R: {
            "deduplication.far-apart",
            "deduplication.retry-signed-afresh",
            "deduplication.retry-reformatted",
            "deduplication.across-batches",
        },
        T: {"deduplication.far-apart", "deduplication.retry-signed-afresh", "deduplication.retry-reformatted"},
    }

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        given = (self.header(request, "CheckSum"), *(self.parameter(request, name) for name in ("signature", "Sign")))
        signature = "".join(given)
        found = super().entries_of(request, item)
        return [replace(one, identity=(signature, *(one.identity or ()))) for one in found]


class LooksInAReplica(Mutant):
    """Looks for repeats in a copy of its store that lags behind: it is brought up to date when somebody looks."""

    caught_by = {
        C: {*UNSEEN, "deduplication.concurrent"},
        R: {
            *UNSEEN,
            "deduplication.concurrent",
            "deduplication.inside-one-batch",
            "deduplication.across-batches",
        },
        T: {*UNSEEN, "deduplication.concurrent"},
    }
    replica: AbstractSet[tuple[str, ...]] = frozenset()

    def repeated(self, entry: Entry) -> bool:
        super().repeated(entry)
        return entry.identity in self.replica

    def effects(self) -> Any:
        self.replica = frozenset(self.known)
        return super().effects()


class KnowsOnlyWholeRequests(Mutant):
    """Passes over a request whose entries it has seen together, and records every entry of any other."""

    caught_by = {R: {"deduplication.inside-one-batch", "deduplication.across-batches"}}

    def __init__(self, provider: str) -> None:
        super().__init__(provider)
        self.requests: set[tuple[str, ...]] = set()

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            whole = tuple(str(entry.identity) for entry in entries)
            if whole in self.requests:
                return
            self.requests.add(whole)
            for entry in entries:
                self.known.clear()
                self.record(entry)


class LooksOnlyBeforeTheRequest(Mutant):
    """Looks for repeats among what earlier requests brought, not inside the array."""

    caught_by = {R: {"deduplication.inside-one-batch"}}

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            for entry in [one for one in entries if one.identity not in self.known]:
                self.known.discard(entry.identity or ())
                self.record(entry)


class RemembersAFew(Mutant):
    """Looks for repeats among the last eight events."""

    caught_by = {C: REPEATS - {"deduplication.concurrent"}}

    def repeated(self, entry: Entry) -> bool:
        recent = [one.identity for one in self.latest[-8:]]
        self.latest = [*self.latest[-8:], entry]
        return entry.identity is not None and entry.identity in recent

    latest: Sequence[Entry] = ()


class KnowsMessagesByTheirKey(Mutant):
    """Tells messages apart by MsgKey alone."""

    caught_by = {T: {"deduplication.same-key-other-sender"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, identity=(text(item["MsgKey"]),)) if "MsgKey" in item else found


class KnowsEventsByTheirContent(Mutant):
    """Takes what says the same for the same."""

    caught_by = {
        C: {"deduplication.twins-are-kept"},
        R: {
            "deduplication.twins-are-kept",
            "ordering.late-removal",
            "ordering.newest-wins",
            "ordering.versions-at-once",
        },
        T: {"deduplication.twins-are-kept", "ordering.listed-in-order", "ordering.order-beyond-31-bits"},
    }
    told_apart_by: ClassVar[Mapping[str, tuple[str, ...]]] = {
        C: ("eventType", "fromAccount", "to", "msgTimestamp", "body", "attach"),
        R: ("chatroomId", "key", "value", "optType"),
        T: ("From_Account", "To_Account", "MsgTime", "CloudCustomData"),
    }

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        if found.kind.stream not in ("message", "attribute", "c2c"):
            return found
        return replace(found, identity=tuple(text(item.get(name)) for name in self.told_apart_by[self.provider]))


# Does the newest win, are lists in order?


class ShowsByArrival(Mutant):
    """Shows lists in the order in which they arrived."""

    caught_by = {C: {"ordering.listed-in-order"}, T: {"ordering.listed-in-order", "ordering.order-beyond-31-bits"}}

    def position(self, entry: Entry) -> tuple[Any, ...]:
        return (entry.kind.stream,)


class LetsTheLastWin(Mutant):
    """Lets whatever arrives last win."""

    caught_by = {
        C: STALE | {"ordering.late-after-removal", "ordering.late-removal"},
        R: STALE | {"ordering.late-after-removal", "ordering.reversed-batch"},
        T: STALE | {"ordering.late-after-removal", "ordering.late-removal"},
    }

    def stale(self, entry: Entry) -> bool:
        return False


class LetsTheLastWinInPlace(StateOnly, Mutant):
    """Writes whatever arrives last over what was there."""

    caught_by = {R: STALE | {"ordering.late-after-removal", "ordering.reversed-batch"}}

    def stale(self, entry: Entry) -> bool:
        return False


class LetsTheFirstWin(Mutant):
    """Never changes a state that it has."""

    caught_by = {
        C: {"deduplication.twins-are-kept", "ordering.newest-wins", "ordering.versions-at-once"},
        R: {
            "deduplication.twins-are-kept",
            "ordering.late-removal",
            "ordering.newest-wins",
            "ordering.versions-at-once",
        },
    }
    not_applicable = {C: {"ordering.late-after-removal", "ordering.late-removal"}}

    def stale(self, entry: Entry) -> bool:
        return entry.scope in self.newest


class LetsStaleLoginsWin(Mutant):
    """Looks at the time of logouts only."""

    caught_by = {C: STALE | {"ordering.late-after-removal"}}

    def stale(self, entry: Entry) -> bool:
        return entry.item.get("eventType") != "2" and super().stale(entry)


class LetsStaleEntriesWin(Mutant):
    """Shows people in a room who have left it."""

    caught_by = {C: STALE | {"ordering.late-after-removal", "ordering.late-removal"}}

    def stale(self, entry: Entry) -> bool:
        return entry.kind.stream != "room-presence" and super().stale(entry)


class SortsByTimeOnly(Mutant):
    """Shows the messages of one second by arrival."""

    caught_by = {T: {"ordering.listed-in-order", "ordering.order-beyond-31-bits"}}

    def position(self, entry: Entry) -> tuple[Any, ...]:
        return super().position(entry)[:2]


class CountsIn32Bits(Mutant):
    """Keeps numbers in signed 32-bit integers."""

    caught_by = {T: {"ordering.order-beyond-31-bits"}}

    def position(self, entry: Entry) -> tuple[Any, ...]:
        stream, *numbers = super().position(entry)
        return (stream, *((value + 2**31) % 2**32 - 2**31 for value in numbers))


class ComparesVersionsAsTexts(Mutant):
    """Compares versions as texts, so that 10 comes before 9."""

    caught_by = {R: {"ordering.order-field-decides"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, at=tuple(map(ord, text(item.get("version")))))


class GoesByTimestamp(Mutant):
    """Lets the newest timestamp win, not the newest version."""

    caught_by = {R: STALE | {"ordering.late-removal", "ordering.reversed-batch"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        return replace(super().entry(kind, code, item), at=(number(item.get("timestamp")),))


class ComparesBetweenRequests(Mutant):
    """Compares with the versions of earlier requests, and lets the last entry of an array win."""

    caught_by = {R: {"ordering.reversed-batch"}}

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            for entry in [one for one in entries if not self.stale(one)]:
                self.newest.pop(entry.scope, None)
                self.record(entry)


class ComparesInsideArrays(Mutant):
    """Sorts the entries of an array, and lets the last request win."""

    caught_by = {R: STALE}

    def take(self, entries: Sequence[Entry]) -> None:
        with self.lock:
            self.newest.clear()
            super().take(sorted(entries, key=lambda entry: entry.at))


class KnowsAttributesByTheirKey(Mutant):
    """Takes the same key, version and operation in another room for a repeat."""

    caught_by = {R: {"ordering.scopes-are-independent"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, identity=tuple(text(item.get(name)) for name in ("key", "version", "optType")))


class ComparesAcrossRooms(Mutant):
    """Compares the version of an attribute with that of the same key in any room."""

    caught_by = {R: {"ordering.scopes-are-independent", "ordering.late-after-removal"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, scope=("attribute", "any room", text(item.get("key"))))


class ForgetsWhatItDeleted(Mutant):
    """Keeps no version of what was deleted or cleared."""

    caught_by = {R: {"ordering.late-after-removal"}}

    def note(self, entry: Entry) -> None:
        super().note(entry)
        self.erased.clear()
        if entry.kind.erases:
            self.newest.pop(entry.scope, None)


class ClearsOneKey(Mutant):
    """Takes a clearing for the deletion of the key that it names."""

    caught_by = {R: {"ordering.late-after-removal"}}

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        found = super().entry(kind, code, item)
        return replace(found, scope=(*found.scope, text(item.get("key")))) if code == "3" else found


# What do payloads hold?


class TakesTheFirstEntry(Mutant):
    """Reads only the first entry of an array."""

    caught_by = {
        R: {
            "deduplication.across-batches",
            "payloads.batch-sizes",
        }
    }

    def items(self, document: Any) -> list[dict[str, Any]]:
        return super().items(document)[:1]


class TakesTheFirstObject(Mutant):
    """Reads only the first of several embedded objects."""

    caught_by = {
        C: {
            "deduplication.same-request-again",
            "deduplication.retry-after-lost-ack",
            "deduplication.retry-after-timeout",
            "deduplication.retry-signed-afresh",
            "deduplication.retry-reformatted",
            "deduplication.twins-are-kept",
            "acknowledgement.nothing-acked-is-lost",
            "payloads.embedded-json",
            "payloads.limits",
            "payloads.optional-absent",
            "payloads.unknown-field",
            "signature.accepts-documented",
            "signature.accepts-non-ascii",
            "signature.accepts-raw-bytes",
        }
    }

    def entries_of(self, request: Request, item: dict[str, Any]) -> Iterable[Entry]:
        return list(super().entries_of(request, item))[:1]


class WantsFewEntries(Mutant):
    """Refuses arrays of more than a hundred entries."""

    caught_by = {R: {"payloads.batch-sizes"}}

    def items(self, document: Any) -> list[dict[str, Any]]:
        return super().items(document if len(document) <= 100 else refuse("too long an array"))


class WantsEveryField(Mutant):
    """Reads fields that need not be there."""

    caught_by = {
        C: {"acknowledgement.acks-with-200", "payloads.optional-absent"},
        R: {"payloads.optional-absent"},
        T: {"payloads.optional-absent"},
    }
    read: ClassVar[Mapping[str, tuple[str, str]]] = {
        C: ("7", "sendTime"),
        R: ("1", "userId"),
        T: ("C2C.CallbackAfterSendMsg", "UnreadMsgNum"),
    }

    def entry(self, kind: Any, code: str, item: dict[str, Any]) -> Entry:
        reads, name = self.read[self.provider]
        return super().entry(kind, code, {**item, name: item[name]} if code == reads else item)


class WantsNoOtherField(Mutant):
    """Refuses objects with fields that are not on its list."""

    caught_by = everywhere("payloads.unknown-field")

    def items(self, document: Any) -> list[dict[str, Any]]:
        found = super().items(document)
        known = {name for one in schemas.catalogue(self.provider) for name in named(one.schema)}
        if any(name not in known for item in found for name in item):
            raise ValueError("unknown field")
        return found


class RecordsFailures(Mutant):
    """Records messages that were never sent as if they had been."""

    caught_by = {T: {"payloads.failed-send"}}

    def happened(self, item: dict[str, Any]) -> bool:
        item.pop("SendMsgResult", None)
        return True


# What does broken input do?


class BrokenJsonCutsTheConnection(PlainMutant):
    """Lets the parser's exception end the connection."""

    caught_by = {R: {"robustness.malformed-json", "robustness.empty-body"}}

    def parse(self, text: str) -> Any:
        try:
            return super().parse(text)
        except (ValueError, RecursionError) as error:
            raise ConnectionAbortedError from error


class EmptyBodyCutsTheConnection(PlainMutant):
    """Ends the connection when there is no body."""

    caught_by = everywhere("robustness.empty-body")

    def decode(self, body: bytes) -> str:
        if not body:
            raise ConnectionAbortedError
        return super().decode(body)


class BrokenJsonKills(Mutant):
    """Answers nothing but 503 after one body that it cannot parse."""

    caught_by = {T: {"robustness.malformed-json", "robustness.still-alive", "signature.accepts-documented"}}
    could_not_run = {T: REJECTS[T] | UNPROVEN[T] | AFTER_BROKEN_JSON}
    dead = False

    def receive(self, request: Request) -> Answer:
        return Answer(503) if self.dead else super().receive(request)

    def unreadable(self) -> Answer:
        self.dead = True
        return super().unreadable()


class BrokenJsonStopsTheWork(Mutant):
    """Goes on acknowledging after one body that it cannot parse, and records nothing any more."""

    caught_by = {
        T: {
            "acknowledgement.nothing-acked-is-lost",
            "robustness.malformed-json",
            "robustness.still-alive",
            "signature.accepts-documented",
            "signature.accepts-non-ascii",
        }
    }
    could_not_run = {T: REJECTS[T] | UNPROVEN[T] | AFTER_BROKEN_JSON - {"signature.accepts-non-ascii"}}
    dead = False

    def take(self, entries: Sequence[Entry]) -> None:
        if not self.dead:
            super().take(entries)

    def unreadable(self) -> Answer:
        self.dead = True
        return super().unreadable()


class MendsBrokenJson(Mutant):
    """Closes what a truncated body left open, and records it."""

    caught_by = {name: {"robustness.malformed-json"} for name in (C, T)}

    def parse(self, text: str) -> Any:
        for missing in ("", '"}', "}]", "]}", "}}", "0}"):
            try:
                return super().parse(text + missing)
            except ValueError:
                continue
        raise ValueError("beyond repair")
