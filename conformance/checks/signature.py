"""What is signed as the provider signs is accepted; everything else is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial, reduce
from typing import Any

from im_callback.conformance import needs
from im_callback.conformance.check import check
from im_callback.conformance.judge import phantoms
from im_callback.conformance.run import Run
from im_callback.conformance.samples import documented_events, kept_as_sent, speaking_event
from im_callback.conformance.twins import (
    ACCEPTS,
    SIGNED_ROLES,
    accepted,
    accepted_like,
    foreign,
    missing,
    must_reject,
    signed_only,
)
from im_callback.conformance.verdict import CouldNotRun, Failed, NotApplicable
from im_callback.conformance.words import counted, notes_of, said_of
from im_callback.provider_mock.contract import Parameter, Request
from im_callback.provider_mock.delivery.changes import Change

FIX_RAW = "Compute the hash over the bytes of the body as received, before any parsing."
FIX_COMPARE = "Compute the signature yourself and compare all of it, in constant time, before anything else."
WHY_FORGED = "Whoever finds the address can otherwise write messages, logins and room changes into your system."


def rejects(run: Run, *changes: Change) -> None:
    """Fail if an event is taken after one of the changes, each made to one of its own."""
    must_reject(run, [run.shot(run.event(), change=change) for change in changes])


@check(
    "Every documented sample is accepted",
    topic="payload",
    level="must",
    why="These are the payloads that the provider's own pages show.",
    fix=FIX_RAW,
    remedies=("raw-body", "read-with-care"),
)
def check_accepts_documented(run: Run) -> None:
    """Every documented sample is acknowledged and, where its kind is recorded, shows.

    A, one for each documented sample -> acknowledged
    = A

    - The body is read in the platform's character set.
    - Types or forms that the first sample does not have are refused.
    """
    accepted(run, [run.shot(event, note=note) for event, note in documented_events(run)], "every documented sample")


@check(
    "Header names are accepted in any case",
    topic="transport",
    level="must",
    why="Header names have no case in HTTP; proxies and HTTP/2 gateways lower them.",
    fix="Look headers up without regard to case.",
    needs=needs.headers,
    remedies=("raw-body",),
)
def check_accepts_header_case(run: Run) -> None:
    """The signature's headers are found in lower and in upper case.

    A, as documented -> acknowledged
    B, with header names in lower case -> acknowledged
    C, with header names in upper case -> acknowledged
    = B and C

    - Headers are looked up as they are spelled in the documents.
    """
    wires = [run.wire(header_case=case) for case in ("lower", "upper")]
    accepted_like(
        run,
        [run.shot(run.event(), wire=wire, note=f"header names in {wire.header_case} case") for wire in wires],
        "a valid delivery",
    )


@check(
    "The same event in another JSON spelling is accepted",
    topic="signature",
    level="must",
    why="The signature is over the raw bytes: a receiver that parses and serialises first refuses real deliveries.",
    fix=FIX_RAW,
    needs=needs.signs_body,
    remedies=("raw-body",),
)
def check_accepts_raw_bytes(run: Run) -> None:
    r"""The same event is accepted in every spelling that JSON allows.

    A, as documented -> acknowledged
    B, with white space, other key order, \/ for /; eight spellings -> acknowledged
    = B

    - The body is parsed, and what the JSON library writes is hashed.
    - What does not fit is dropped and acknowledged.
    """
    spellings = {
        "white space between tokens": run.wire(spaces=True),
        "keys in alphabetical order": run.wire(key_order="alphabetical"),
        "keys in Java HashMap order": run.wire(key_order="java-hashmap"),
        "solidus written as \\/": run.wire(escapes="slashes"),
        "a line break at the end": run.wire(tail="\n"),
        "whole numbers written as 1.0": run.wire(integers_as_floats=True),
    }
    shots = [run.shot(speaking_event(run, "a/b"), wire=wire, note=note) for note, wire in spellings.items()]
    numbers = next((one for one in run.handled or run.documented if _has_integer(run.event(one).payload)), None)
    if numbers is not None:
        wire = run.wire(integers_as_floats=True)
        shots.append(run.shot(run.event(numbers), wire=wire, note=f"{numbers.name}, numbers written as 1.0"))
    accepted_like(run, shots, "the same event in another JSON spelling", lambda: speaking_event(run, "a/b"))
    # Only a receiver that takes Chinese as it stands can be asked whether it also takes it escaped.
    said = "a/b 你好"
    escaped = run.shot(
        speaking_event(run, said), wire=run.wire(escapes="unicode"), note="characters written as \\uXXXX"
    )
    accepted_like(
        run,
        [escaped],
        "the same event in another JSON spelling",
        lambda: speaking_event(run, said),
        "signature.accepts-non-ascii",
    )


@check(
    "Chinese text and emoji are accepted and kept",
    topic="payload",
    level="must",
    why="A receiver that decodes with the platform's character set refuses or mangles exactly these messages.",
    fix="Hash the raw bytes, and decode the body as UTF-8 whatever the locale says.",
    remedies=("raw-body", "bad-body"),
)
def check_accepts_non_ascii(run: Run) -> None:
    """Chinese text and emoji are accepted, and kept as they were said.

    A, which says plain letters -> acknowledged
    B, which says Chinese words and emoji -> acknowledged
    = B, and its text

    - The body is read in the platform's character set: ASCII refuses it, Latin-1 garbles it.
    - A column of a store that holds three bytes for a character.
    """
    kept_as_sent(run, "你好，世界 🎉 é", "an event with Chinese text and emoji", ACCEPTS)


@check(
    "The content type does not matter beyond JSON",
    topic="transport",
    level="should",
    why="A comparison with exactly application/json refuses deliveries that carry a charset, or none at all.",
    fix="Read the raw body whatever Content-Type says.",
    remedies=("raw-body",),
)
def check_accepts_content_type(run: Run) -> None:
    """A delivery is accepted with a charset behind its content type, and without a content type.

    A, as documented -> acknowledged
    B, with another Content-Type; the same for each -> acknowledged
    = B

    - Anything but exactly application/json is refused.
    - The framework parses by content type, and hands out an empty body for others.
    """
    accepted_like(
        run,
        [
            run.shot(run.event(), wire=run.wire(content_type=one), note=f"Content-Type: {one or 'none'}")
            for one in run.feed.content_types
        ],
        "a valid delivery",
    )


@check(
    "A body in chunks is accepted",
    topic="transport",
    level="should",
    why="Reading only Content-Length bytes sees an empty body when a proxy sends chunks, and the event is lost.",
    fix="Read the body to its end instead of Content-Length bytes.",
    remedies=("raw-body",),
)
def check_accepts_chunked(run: Run) -> None:
    """A delivery in chunks, without Content-Length, is accepted.

    A, as documented -> acknowledged
    B, in chunks -> acknowledged
    = B

    - As many bytes are read as Content-Length says, and none where it says nothing.
    """
    shots = [run.shot(run.event(), wire=run.wire(chunked=True), note="chunked")]
    accepted_like(run, shots, "a delivery in chunks")


@check(
    "A body changed after signing is refused",
    topic="signature",
    level="must",
    why=WHY_FORGED,
    fix="Compute the digest of the body yourself; the one that is given proves nothing.",
    needs=needs.signs_body,
    remedies=("raw-body", "constant-time"),
)
def check_rejects_tampered_body(run: Run) -> None:
    """The changed body is refused and leaves no effect; the event itself is accepted.

    A, its body changed after signing -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The digest that is given goes into the signature, in the place of the body's own.
    - Nothing is verified at all.
    """
    rejects(run, Change("body", "content"))


@check(
    "A changed body with a fitting digest is refused",
    topic="signature",
    level="must",
    why=WHY_FORGED,
    fix="Verify the signature over the digest, not only the digest.",
    needs=needs.signed_digest,
    remedies=("constant-time", "raw-body"),
)
def check_rejects_recomputed_md5(run: Run) -> None:
    """The changed body is refused although its digest fits, and leaves no effect; the event itself is accepted.

    A, its body changed, with a fitting digest -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The digest is compared with the body, and the signature with nothing.
    """
    rejects(run, Change("body", "content", "recompute"))


@check(
    "The headers of another delivery are refused",
    topic="signature",
    level="must",
    why="Headers that were seen once would otherwise open the door to any body.",
    fix="Compute the digest of the body yourself; the one that is given proves nothing.",
    needs=needs.signed_headers,
    remedies=("raw-body", "constant-time"),
)
def check_rejects_foreign_headers(run: Run) -> None:
    """A body under the headers of another delivery is refused and leaves no effect; signed itself, it is accepted.

    A -> acknowledged
    B, under the headers of A -> refused
    = nothing of B
    B -> acknowledged
    = B

    - The digest that is given goes into the signature, in the place of the body's own.
    """
    other = run.deliver(run.event(), note="the delivery that the headers are taken from")
    if not other.acked:
        raise CouldNotRun(
            f"the delivery that the headers are taken from was not acknowledged: {other.judgement.rule}",
            "See preflight.accepts-valid",
            [other],
        )
    must_reject(run, [run.shot(run.event(), change=Change("parameters"), donor=other.shot.request)])


@check(
    "A signature made with another secret is refused",
    topic="signature",
    level="must",
    why=WHY_FORGED,
    fix=FIX_COMPARE,
    needs=needs.signs,
    remedies=("constant-time",),
)
def check_rejects_wrong_secret(run: Run) -> None:
    """What another secret has signed is refused and leaves no effect; signed rightly, it is accepted.

    A, signed with another secret -> refused
    = nothing of A
    A -> acknowledged
    = A

    - Nothing is verified at all, or only that a signature is there.
    - It is recorded first, and verified afterwards.
    """
    signed_only(run)
    must_reject(run, [foreign(run)])


@check(
    "A signature made with an empty secret is refused",
    topic="signature",
    level="must",
    why="A receiver whose secret is not configured would take whatever anyone signs with nothing.",
    fix="Stop at the start if the secret is missing, and compare with the real one.",
    needs=needs.signs,
    remedies=("secret-at-start", "constant-time"),
)
def check_rejects_empty_secret(run: Run) -> None:
    """What the empty secret has signed is refused and leaves no effect; signed rightly, it is accepted.

    A, signed with an empty secret -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The secret is read from a variable that nobody has set.
    """
    signed_only(run)
    must_reject(run, [foreign(run, "empty")])


@check(
    "A signature made with the app key in the place of the secret is refused",
    topic="signature",
    level="must",
    why="The app key is public; one vendor's own sample signature is made with it by mistake.",
    fix="Sign with the secret, not with the key.",
    needs=needs.role("key"),
    remedies=("secret-at-start", "constant-time"),
)
def check_rejects_key_as_secret(run: Run) -> None:
    """What the app key has signed is refused and leaves no effect; signed rightly, it is accepted.

    A, signed with the app key -> refused
    = nothing of A
    A -> acknowledged
    = A

    - Key and secret are mixed up, as in a vendor's own sample.
    """
    must_reject(run, [foreign(run, "app-key")])


@check(
    "A time changed after signing is refused",
    topic="signature",
    level="must",
    why="The time is part of the signature; one that can be changed keeps an old signature young for ever.",
    fix="Put the time as received into the hash.",
    needs=needs.covers("time"),
    remedies=("constant-time",),
)
def check_rejects_altered_time(run: Run) -> None:
    """A delivery with another time than was signed is refused and leaves no effect; as signed, it is accepted.

    A, its time changed after signing -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The time is not part of what is hashed, or its neighbours are tried too.
    """
    signed_only(run)
    rejects(run, Change("alter", "time"))


@check(
    "A nonce changed after signing is refused",
    topic="signature",
    level="must",
    why="The nonce is part of the signature.",
    fix="Put the nonce as received into the hash.",
    needs=needs.covers("nonce"),
    remedies=("constant-time",),
)
def check_rejects_altered_nonce(run: Run) -> None:
    """A delivery with another nonce than was signed is refused and leaves no effect; as signed, it is accepted.

    A, its nonce changed after signing -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The nonce is not part of what is hashed.
    """
    rejects(run, Change("alter", "nonce"))


@check(
    "A delivery's id changed after signing is refused",
    topic="signature",
    level="must",
    why="The id is part of the signature: by another one, an old delivery counts as new for ever.",
    fix="Put the id as received into the signature.",
    needs=needs.covers("id"),
    remedies=("constant-time",),
)
def check_rejects_altered_id(run: Run) -> None:
    """A delivery with another id than was signed is refused and leaves no effect; as signed, it is accepted.

    A, its id changed after signing -> refused
    = nothing of A
    A -> acknowledged
    = A

    - The id is not part of what is hashed.
    """
    rejects(run, Change("alter", "id"))


@check(
    "Signature parameters that are missing, empty or doubled are refused",
    topic="signature",
    level="must",
    why="A missing value that crashes the receiver, or counts as fitting, is the first thing an attacker tries.",
    fix="Ask for each parameter exactly once, and refuse before you compute.",
    needs=needs.signs,
    remedies=("each-parameter-once", "constant-time"),
)
def check_rejects_missing(run: Run) -> None:
    """Deliveries whose parameters are missing, empty or doubled are refused and leave no effect; whole, they are accepted.

    A, without one parameter; the same for each of them -> refused
    B, with an empty one; the same for each -> refused
    C, with one twice; the same for each -> refused
    = nothing of A, B and C
    A and B -> acknowledged
    = A and B

    - The signature is verified only if there is one.
    - Of two values the last, or the first, is taken.
    - A missing value raises an exception.
    - It is asked whether the right signature begins with the given one: an empty one always fits.
    """
    signed_only(run)
    spelled = run.feed.parameters_in(run.settings.wire)
    rejects(run, *(change for one in spelled if one.role in SIGNED_ROLES for change in missing(run, one)))


@check(
    "A part of the signature, or more than it, is refused",
    topic="signature",
    level="must",
    why="Comparing a prefix makes a signature guessable; characters outside ASCII crash many comparisons.",
    fix=FIX_COMPARE,
    needs=needs.signs,
    remedies=("constant-time",),
)
def check_rejects_truncated_signature(run: Run) -> None:
    """A part of the signature, more than it, or characters outside ASCII are refused; signed rightly, all is accepted.

    A, with the first characters of its signature -> refused
    B, with more behind its signature -> refused
    C, with a signature that is not ASCII -> refused
    = nothing of A, B and C
    A and B -> acknowledged
    = A and B

    - The first eight characters are compared, or only as many as are given.
    - Texts are compared by a function that raises for those outside ASCII.
    """
    signed_only(run)
    parameter = run.parameter("signature")
    (whole,) = parameter.values(run.shot(run.event()).request)
    shortest = min(map(len, whole.split(parameter.separator) if parameter.separator else [whole]))
    rejects(
        run,
        Change("signature", value=str(min(8, shortest // 2))),
        Change("lengthen", value="00"),
        Change("not-ascii"),
    )


@check(
    "A digest of the body that is wrong or missing is refused",
    topic="signature",
    level="should",
    why="The digest is one of the documented parameters; one that does not fit the body shows a change on the way.",
    fix="Compare it with the digest of the body.",
    needs=needs.signed_digest,
    remedies=("raw-body", "each-parameter-once"),
)
def check_rejects_wrong_md5_header(run: Run) -> None:
    """A delivery whose digest is wrong or missing is refused and leaves no effect; with the right one it is accepted.

    A, with a wrong digest -> refused
    B, without a digest -> refused
    C, with the digest empty, or twice -> refused
    = nothing of A, B and C
    A and B -> acknowledged
    = A and B

    - The digest is never looked at.
    - Of two values the last is taken.
    """
    rejects(run, Change("digest"), *missing(run, run.parameter("digest")))


@check(
    "A delivery for another application is refused",
    topic="application",
    level="should",
    why="Test and production applications of one team often share an address, and a secret.",
    fix="Compare the application's key with your own.",
    needs=needs.names_application,
    remedies=("constant-time",),
)
def check_rejects_foreign_app(run: Run) -> None:
    """A delivery for another application is refused and leaves no effect; for this one it is accepted.

    A, for another application -> refused
    = nothing of A
    A -> acknowledged
    = A

    - It is not looked at for which application a request is.
    """
    rejects(run, Change("app"))


@check(
    "An event type that differs between URL and body is not followed",
    topic="transport",
    level="should",
    why="Neither is signed: a receiver that believes the URL files any body under any command.",
    fix="Refuse when the URL and the body name different types.",
    needs=needs.repeats_type,
    remedies=("each-parameter-once",),
)
def check_rejects_command_mismatch(run: Run) -> None:
    """A body of one type under an address that names another leaves no effect; under its own it is accepted.

    A, its type in the URL and another in its body -> refused, or passed over
    = nothing of A under the type that the URL names
    A -> acknowledged
    = A

    - The type is taken from the URL, and the body filed under it.
    """
    event = run.event()
    name, code = _type_field(run)
    changed: Any = {**event.payload, name: code}
    body = run.feed.body([replace(event, payload=changed)], run.settings.wire)
    run.must_not_be_blind()
    note = f"{name} differs between URL and body"
    attempt = run.send(run.raw(body, events=[event], command=run.subject.code, note=note))[0]
    effects = run.barrier()
    if any(effects.count(one) for one in run.occurrences(event)):
        raise Failed("no effect under the type that the URL names", "the effects show it", [attempt])
    if attempt.acked and run.sight == "none" and run.read_effects is not None:
        raise NotApplicable(f"the receiver records nothing of the feed {run.feed.name}")
    if attempt.acked and not run.handled:
        raise CouldNotRun("it was acknowledged, and only effects show what became of it", "Give --receiver-effects=…")
    run.must_show([run.deliver(event, note="the same event, with one type")], "the same event, with one type,")


def _type_field(run: Run) -> tuple[str, str]:
    """Return the field by which payloads name their type, and another type's code: one that is not recorded, if any."""
    marks = run.subject.marks
    if not marks:
        raise NotApplicable(f"no field of {run.subject.name} names its type")
    others = [one for one in run.feed.event_types if one.code != run.subject.code]
    others.sort(key=lambda one: one in run.handled)
    unknown = str(run.feed.unknown_type.get(marks[0][0], f"{run.subject.code}NotYetDocumented"))
    return marks[0][0], others[0].code if others else unknown


@check(
    "Every documented origin is accepted, and none",
    topic="transport",
    level="must",
    why="The query says from where the message came; what you do not know yet must not cost you the message.",
    fix="Do not require what is not always sent, and do not restrict the values or their case.",
    needs=needs.has_context,
    remedies=("read-with-care",),
)
def check_accepts_platforms(run: Run) -> None:
    """A delivery from every documented origin, and one that names none, is accepted.

    A, as documented -> acknowledged
    B, from another platform; the same for each -> acknowledged
    C, without its origin -> acknowledged
    = B and C

    - Platforms that are not on a list are refused.
    """
    context = [one for one in run.feed.context if one.role == "context"]
    shots = [
        run.shot(run.event(), change=partial(_with, parameter, value), note=f"{parameter.name}={value}")
        for parameter in context
        for value in parameter.known
    ]
    absent = [one for one in context if one.optional]
    if absent:
        note = f"no {', no '.join(one.name for one in absent)}"
        shots.append(run.shot(run.event(), change=lambda r: reduce(lambda q, one: one.given(q), absent, r), note=note))
    accepted_like(run, shots, "a delivery from every origin")


def _with(parameter: Parameter, value: str, request: Request) -> Request:
    return parameter.given(request, value)


@check(
    "Parameters under their earlier names are accepted",
    topic="signature",
    level="may",
    why="Callbacks were signed under these names in earlier years, and receivers in use still read them.",
    fix="Read the earlier name where that of today is absent.",
    needs=needs.wire("legacy-names"),
    remedies=("each-parameter-once",),
)
def check_accepts_legacy_names(run: Run) -> None:
    """A delivery that is signed under the names of earlier years is accepted.

    A, as documented -> acknowledged
    B, with parameters under their earlier names -> acknowledged
    = B

    - Only the name of today is read.
    """
    wire = run.wire(legacy_names=True)
    earlier = {one.name for one in run.feed.parameters_in(wire)} - {one.name for one in run.feed.parameters}
    shot = run.shot(run.event(), wire=wire, note=", ".join(sorted(earlier)))
    accepted_like(run, [shot], "the earlier names")


@check(
    "A signature from long ago, or from the future, is refused",
    topic="freshness",
    level="may",
    why="A request that was seen once can otherwise be sent again for ever. (Where the documents set no limit, a retry "
    "may be as old as its retry schedule: leave room for that.)",
    fix="Refuse a time further from now than the documents allow; keep clocks synchronised.",
    needs=needs.covers("time"),
    remedies=("time-window",),
)
def check_rejects_stale(run: Run) -> None:
    """What was signed long ago, or will be, is refused and leaves no effect; signed now, it is accepted.

    A, signed long ago -> refused
    B, signed in the future -> refused
    = nothing of A and B
    A -> acknowledged
    = A

    - The time is verified as part of the signature, and never compared with the clock.
    """
    signed_only(run)
    seconds = 1.5 * run.feed.freshness if run.feed.freshness else 3700.0
    must_reject(
        run,
        [
            run.shot(run.event(), stamp=run.stamp(round(sign * seconds * 1000)), forged=True, note=note)
            for sign, note in ((-1, f"signed {seconds:g} s ago"), (1, f"signed {seconds:g} s from now"))
        ],
    )


@check(
    "A refusal does not look like an acknowledgement",
    topic="ack",
    level="should",
    last=True,
    why="The provider takes that status as received: a delivery that you refuse by mistake is lost without a trace.",
    fix="Refuse with 401 or 403; never with a status that the provider takes as received.",
    needs=needs.signs,
    remedies=("refuse-by-status",),
)
def check_refusal_is_visible(run: Run) -> None:
    """Nothing that was refused in the run was answered with a status that the provider takes as received.

    any delivery of the run that had to be refused -> refused, by its status
    A, signed with another secret, if there was none -> refused, by its status

    - 200 in the status, and the refusal in the body.
    - What is not signed is dropped, and acknowledged.
    - An exception over a bad signature is answered with a status that is an acknowledgement here.
    """
    signed_only(run)
    if not any(attempt.shot.forged for attempt in run.history):
        one = foreign(run)
        attempts = run.send(one)
        effects = run.barrier()
        run.sent.recorded(attempts if any(effects.counts.get(o) for o in run.occurrences(*one.events)) else ())
    refused = run.sent.refused(run.binding)
    if not refused:
        raise NotApplicable("none of the bad requests was refused")
    hidden = [attempt for attempt in refused if attempt.taken and not run.feed.says_no(attempt.reply)]
    if hidden:
        raise Failed(
            "every refusal with a status that is not an acknowledgement",
            f"{len(hidden)} of {counted(len(refused), 'refusal', 'refusals')} with one that is: "
            f"{said_of(hidden[0])} (in all: {notes_of(hidden)})",
            hidden,
            cause="forged and acknowledged",
        )


@check(
    "Nothing that had to be refused shows in the effects",
    topic="signature",
    level="must",
    effects=True,
    last=True,
    needs=needs.signs,
    why="A receiver that verifies after it has recorded lets forged events in all the same.",
    fix="Verify first; record only what verified.",
    remedies=("constant-time", "refuse-by-status"),
)
def check_no_phantoms(run: Run) -> None:
    """At the end of the run nothing shows that had to be refused.

    ... all deliveries of the run that had to be refused
    = nothing of them

    - What was refused comes in later, through a queue whose readers verify nothing.
    - It is recorded first, and verified afterwards.
    """
    effects = run.barrier()
    found = phantoms(run.sent.forbidden(run.binding), effects)
    if found:
        shown = set(found)
        attempts = [a for a in run.history if not a.shot.valid and shown & set(run.occurrences(*a.shot.events))]
        raise Failed(
            "no effect of what the provider never sent",
            f"{counted(len(found), 'such effect:', 'such effects, among them')} {found[0]} ({notes_of(attempts)})",
            attempts,
            cause="forged and recorded",
        )


def _has_integer(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_integer(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_integer(one) for one in value)
    return type(value) is int
