"""What is signed as the provider signs is accepted; everything else is refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from conformance.check import check
from conformance.judge import phantoms
from conformance.run import Run
from conformance.samples import documented_events, speaking_event, tampered, texts_match
from conformance.twins import must_reject
from conformance.verdict import CouldNotRun, Failed, NotApplicable
from provider_mock.contract import Credentials, Parameter, Request
from provider_mock.history import Shot
from provider_mock.wire import Wire

FIX_RAW = "Compute the hash over the bytes of the body as received, before any parsing."
FIX_COMPARE = "Compute the signature yourself and compare all of it, in constant time, before anything else."
WHY_FORGED = "Whoever finds the address can otherwise write messages, logins and room changes into your system."

NOT_ASCII = "é"
SIGNED_ROLES = ("time", "nonce", "digest", "signature")
PLATFORMS = ("RESTAPI", "Web", "Android", "iOS", "IOS", "Windows", "Mac", "macOS", "iPad", "Unknown")


def signed_only(run: Run) -> None:
    """End the check as not applicable where the provider is set to send no signature."""
    if run.settings.credentials.app_secret is None:
        raise NotApplicable("no callback token is set, so nothing is signed")


def accepted(run: Run, shots: Iterator[Shot] | list[Shot], what: str) -> None:
    """Fail unless every shot is acknowledged and, where recorded, shows."""
    attempts = run.send_each(shots)
    run.must_ack(attempts, what)
    run.must_show(attempts, what)


@check(
    "Every documented sample is accepted",
    topic="payload",
    every="must",
    why="These are the payloads that the provider's own pages show.",
    fix=FIX_RAW,
)
def check_accepts_documented(run: Run) -> None:
    accepted(run, [run.shot(event, note=note) for event, note in documented_events(run)], "every documented sample")


@check(
    "Header names are accepted in any case",
    topic="transport",
    commsease="must",
    why="Header names have no case in HTTP; proxies and HTTP/2 gateways lower them.",
    fix="Look headers up without regard to case.",
)
def check_accepts_header_case(run: Run) -> None:
    wires = (Wire(header_case="lower"), Wire(header_case="upper"))
    accepted(
        run,
        [run.shot(run.event(), wire=wire, note=f"header names in {wire.header_case} case") for wire in wires],
        "a valid delivery",
    )


@check(
    "The same event in another JSON spelling is accepted",
    topic="signature",
    commsease="must",
    why="The MD5 is over the raw bytes: a receiver that parses and serialises first refuses real deliveries.",
    fix=FIX_RAW,
)
def check_accepts_raw_bytes(run: Run) -> None:
    spellings = {
        "white space between tokens": Wire(spaces=True),
        "keys in alphabetical order": Wire(key_order="alphabetical"),
        "keys in Java HashMap order": Wire(key_order="java-hashmap"),
        "solidus written as \\/": Wire(escapes="slashes"),
        "characters written as \\uXXXX": Wire(escapes="unicode"),
        "a line break at the end": Wire(tail="\n"),
        "whole numbers written as 1.0": Wire(integers_as_floats=True),
    }
    shots = [run.shot(speaking_event(run, "a/b 你好"), wire=wire, note=note) for note, wire in spellings.items()]
    numbers = next((one for one in run.documented if _has_integer(one.examples[0])), None)
    if numbers is not None:
        shots.append(run.shot(run.event(numbers), wire=Wire(integers_as_floats=True), note="numbers written as 1.0"))
    accepted(run, shots, "the same event in another JSON spelling")


@check(
    "Chinese text and emoji are accepted and kept",
    topic="payload",
    every="must",
    why="A receiver that decodes with the platform's character set refuses or mangles exactly these messages.",
    fix="Hash the raw bytes, and decode the body as UTF-8 whatever the locale says.",
)
def check_accepts_non_ascii(run: Run) -> None:
    said = "你好，世界 🎉 é"
    events = [speaking_event(run, said, one) for one in run.handled or run.documented]
    attempts = run.send_each(run.shot(event, note=event.type) for event in events)
    run.must_ack(attempts, "an event with Chinese text and emoji")
    effects = run.must_show(attempts, "an event with Chinese text and emoji")
    for attempt in attempts:
        for event in attempt.shot.events:
            wrong = texts_match(run, event, effects, said)
            if wrong:
                raise Failed("the effect holds the text as it was sent", wrong, [attempt])


@check(
    "The content type does not matter beyond JSON",
    topic="transport",
    every="should",
    why="A comparison with exactly application/json refuses deliveries that carry a charset, or none at all.",
    fix="Read the raw body whatever Content-Type says.",
)
def check_accepts_content_type(run: Run) -> None:
    types: list[str | None] = ["application/json;charset=utf-8"]
    if run.provider.name == "tencent":
        # No page of Tencent's documents a Content-Type; their raw sample has none.
        types.append(None)
    accepted(
        run,
        [run.shot(run.event(), wire=Wire(content_type=one), note=f"Content-Type: {one or 'none'}") for one in types],
        "a valid delivery",
    )


@check(
    "A body in chunks is accepted",
    topic="transport",
    every="should",
    why="Reading only Content-Length bytes sees an empty body when a proxy sends chunks, and the event is lost.",
    fix="Read the body to its end instead of Content-Length bytes.",
)
def check_accepts_chunked(run: Run) -> None:
    accepted(run, [run.shot(run.event(), wire=Wire(chunked=True), note="chunked")], "a delivery in chunks")


@check(
    "A body changed after signing is refused",
    topic="signature",
    commsease="must",
    why=WHY_FORGED,
    fix="Compute the MD5 of the body yourself; the MD5 header alone proves nothing.",
)
def check_rejects_tampered_body(run: Run) -> None:
    event = run.event()
    body = run.shot(tampered(run, event)).request.body
    shot = run.shot(event, change=lambda r: replace(r, body=body), forged=True, note="body changed after signing")
    must_reject(run, [shot])


@check(
    "A changed body with a fitting MD5 is refused",
    topic="signature",
    commsease="must",
    why=WHY_FORGED,
    fix="Verify CheckSum = sha1(AppSecret + MD5 + CurTime), not only the MD5.",
)
def check_rejects_recomputed_md5(run: Run) -> None:
    event = run.event()
    body = run.shot(tampered(run, event)).request.body
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()

    def forge(request: Request) -> Request:
        return run.provider.parameter("digest").given(replace(request, body=body), digest)

    must_reject(run, [run.shot(event, change=forge, forged=True, note="body changed, MD5 computed anew")])


@check(
    "The headers of another delivery are refused",
    topic="signature",
    commsease="must",
    why="Headers that were seen once would otherwise open the door to any body.",
    fix="Compute the MD5 of the body yourself; the MD5 header alone proves nothing.",
)
def check_rejects_foreign_headers(run: Run) -> None:
    other = run.deliver(run.event(), note="the delivery that the headers are taken from")
    if not other.acked:
        raise CouldNotRun(
            f"the delivery that the headers are taken from was not acknowledged: {other.judgement.rule}",
            "See preflight.accepts-valid",
            [other],
        )
    stolen = other.shot.request.headers
    shot = run.shot(
        run.event(), change=lambda r: replace(r, headers=stolen), forged=True, note="headers of another delivery"
    )
    must_reject(run, [shot])


def foreign(run: Run, note: str, secret: str) -> Shot:
    """Return a delivery signed with another secret."""
    credentials = Credentials(run.settings.credentials.app_key, secret)
    return run.shot(run.event(), credentials=credentials, forged=True, note=note)


@check(
    "A signature made with another secret is refused",
    topic="signature",
    every="must",
    why=WHY_FORGED,
    fix=FIX_COMPARE,
)
def check_rejects_wrong_secret(run: Run) -> None:
    signed_only(run)
    must_reject(run, [foreign(run, "signed with another secret", "not-the-secret")])


@check(
    "A signature made with an empty secret is refused",
    topic="signature",
    every="must",
    why="A receiver whose secret is not configured would take whatever anyone signs with nothing.",
    fix="Stop at the start if the secret is missing, and compare with the real one.",
)
def check_rejects_empty_secret(run: Run) -> None:
    signed_only(run)
    must_reject(run, [foreign(run, "signed with an empty secret", "")])


@check(
    "A signature made with the app key in the place of the secret is refused",
    topic="signature",
    commsease="must",
    rongcloud="must",
    why="The app key is public; one vendor's own sample signature is made with it by mistake.",
    fix="Sign with the secret, not with the key.",
)
def check_rejects_key_as_secret(run: Run) -> None:
    must_reject(run, [foreign(run, "signed with the app key", run.settings.credentials.app_key)])


def altered(run: Run, role: str) -> Shot:
    """Return a delivery in which one signed number was changed after signing."""
    parameter = run.provider.parameter(role)

    def change(request: Request) -> Request:
        (value,) = parameter.values(request)
        return parameter.given(request, str(int(value) + 1))

    return run.shot(run.event(), change=change, forged=True, note=f"{parameter.name} changed after signing")


@check(
    "A time changed after signing is refused",
    topic="signature",
    every="must",
    why="The time is part of the signature; one that can be changed keeps an old signature young for ever.",
    fix="Put the time as received into the hash.",
)
def check_rejects_altered_time(run: Run) -> None:
    signed_only(run)
    must_reject(run, [altered(run, "time")])


@check(
    "A nonce changed after signing is refused",
    topic="signature",
    rongcloud="must",
    why="The nonce is part of the signature.",
    fix="Put the nonce as received into the hash.",
)
def check_rejects_altered_nonce(run: Run) -> None:
    must_reject(run, [altered(run, "nonce")])


def broken(run: Run, parameter: Parameter, note: str, *values: str) -> Shot:
    """Return a delivery with exactly these values of one parameter."""
    return run.shot(
        run.event(), change=lambda r: parameter.given(r, *values), forged=True, note=f"{parameter.name} {note}"
    )


@check(
    "Signature parameters that are missing, empty or doubled are refused",
    topic="signature",
    every="must",
    why="A missing value that crashes the receiver, or counts as fitting, is the first thing an attacker tries.",
    fix="Ask for each parameter exactly once, and refuse before you compute.",
)
def check_rejects_missing(run: Run) -> None:
    signed_only(run)
    shots = []
    for parameter in run.provider.parameters:
        if parameter.role not in SIGNED_ROLES:
            continue
        shots += [broken(run, parameter, "left out"), broken(run, parameter, "empty", "")]

        def twice(request: Request, parameter: Parameter = parameter) -> Request:
            (value,) = parameter.values(request)
            return parameter.given(request, value[::-1] + "0", value)

        shots.append(run.shot(run.event(), change=twice, forged=True, note=f"{parameter.name} twice, wrong then right"))
    must_reject(run, shots)


@check(
    "A part of the signature, or more than it, is refused",
    topic="signature",
    every="must",
    why="Comparing a prefix makes a signature guessable; characters outside ASCII crash many comparisons.",
    fix=FIX_COMPARE,
)
def check_rejects_truncated_signature(run: Run) -> None:
    signed_only(run)
    parameter = run.provider.parameter("signature")

    def with_signature(note: str, length: int | None, tail: str) -> Shot:
        def change(request: Request) -> Request:
            (value,) = parameter.values(request)
            return parameter.given(request, value[:length] + tail)

        return run.shot(run.event(), change=change, forged=True, note=f"{parameter.name} {note}")

    whole = len(parameter.values(run.shot(run.event()).request)[0])
    must_reject(
        run,
        [
            with_signature("cut to 8 characters", 8, ""),
            with_signature("with characters after it", None, "00"),
            with_signature("of the right length, not in ASCII", 0, NOT_ASCII * whole),
        ],
    )


@check(
    "A wrong MD5 header is refused",
    topic="signature",
    commsease="should",
    why="MD5 is one of the four documented headers; one that does not fit the body shows a change on the way.",
    fix="Compare the MD5 header with the MD5 of the body.",
)
def check_rejects_wrong_md5_header(run: Run) -> None:
    wrong = hashlib.md5(b"another body", usedforsecurity=False).hexdigest()
    must_reject(run, [broken(run, run.provider.parameter("digest"), "of another body, CheckSum right", wrong)])


@check(
    "A delivery for another application is refused",
    topic="application",
    commsease="should",
    rongcloud="should",
    tencent="must",
    why="Test and production applications of one team often share an address, and a secret.",
    fix="Compare the application's key with your own.",
)
def check_rejects_foreign_app(run: Run) -> None:
    key = run.settings.credentials.app_key
    other = str(int(key) + 1) if key.isdecimal() else f"{key}-other"
    credentials = Credentials(other, run.settings.credentials.app_secret)
    shot = run.shot(run.event(), credentials=credentials, forged=True, note="for another application")
    must_reject(run, [shot])


@check(
    "A command that differs between URL and body is not followed",
    topic="transport",
    tencent="should",
    why="Neither is signed: a receiver that believes the URL files any body under any command.",
    fix="Refuse when CallbackCommand in the URL and in the body differ.",
)
def check_rejects_command_mismatch(run: Run) -> None:
    event = run.event()
    body = run.provider.request(
        [replace(event, payload={**event.payload, "CallbackCommand": "C2C.CallbackAfterMsgWithDraw"})],
        run.settings.url,
        run.settings.credentials,
        run.stamp(),
    ).body
    attempt = run.send(run.raw(body, events=[event], note="CallbackCommand differs between URL and body"))[0]
    effects = run.barrier()
    if any(effects.count(one) for one in run.occurrences(event)):
        raise Failed("no effect under the command of the URL", "the effects show it as a sent message", [attempt])
    if attempt.acked and not run.handled:
        raise CouldNotRun("it was acknowledged, and only effects show what became of it", "Give --receiver-effects=…")
    run.must_show([run.deliver(event, note="the same event, with one command")], "the same event, with one command,")


@check(
    "Every documented platform is accepted, and none",
    topic="transport",
    tencent="must",
    why="The query says from where the message came; what you do not know yet must not cost you the message.",
    fix="Do not require ClientIP or OptPlatform, and do not restrict their values or the case of contenttype.",
)
def check_accepts_platforms(run: Run) -> None:
    platform, address, kind = (Parameter(n, "query", "key") for n in ("OptPlatform", "ClientIP", "contenttype"))
    shots = [
        run.shot(run.event(), change=lambda r, p=p: platform.given(r, p), note=f"OptPlatform={p}")  # type: ignore[misc]
        for p in PLATFORMS
    ]
    shots.append(
        run.shot(run.event(), change=lambda r: platform.given(address.given(r)), note="no ClientIP, no OptPlatform")
    )
    shots.append(run.shot(run.event(), change=lambda r: kind.given(r, "JSON"), note="contenttype=JSON"))
    accepted(run, shots, "a message from every platform")


@check(
    "The earlier parameter name signTimestamp is accepted",
    topic="signature",
    rongcloud="may",
    why="Callbacks were signed under this name until 2021, and receivers in use still read it.",
    fix="Read signTimestamp where timestamp is absent.",
)
def check_accepts_legacy_names(run: Run) -> None:
    accepted(run, [run.shot(run.event(), wire=Wire(legacy_names=True), note="signTimestamp")], "the earlier names")


@check(
    "A signature from long ago, or from the future, is refused",
    topic="freshness",
    tencent="should",
    commsease="may",
    rongcloud="may",
    why="A request that was seen once can otherwise be sent again for ever. (Where the documents set no limit, a retry "
    "may be as old as its retry schedule: leave room for that.)",
    fix="Refuse a time further from now than the documents allow; keep clocks synchronised.",
)
def check_rejects_stale(run: Run) -> None:
    signed_only(run)
    seconds = 1.5 * run.provider.freshness if run.provider.freshness else 3700.0
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
    every="should",
    last=True,
    why="The provider takes that status as received: a delivery that you refuse by mistake is lost without a trace.",
    fix="Refuse with 401 or 403; never with a status that the provider takes as received.",
)
def check_refusal_is_visible(run: Run) -> None:
    if not run.refusable(run.binding):
        signed_only(run)
        run.send(foreign(run, "signed with another secret", "not-the-secret"))
    tried = run.refusable(run.binding)
    taken = [attempt for attempt in tried if attempt.acked]
    if taken:
        raise Failed(
            "every refusal with a status that is not an acknowledgement",
            f"{len(taken)} of {len(tried)} bad requests were answered with an acknowledgement, the first "
            f"({taken[0].shot.note}): {taken[0].judgement.rule}",
            taken[:1],
        )


@check(
    "Nothing that had to be refused shows in the effects",
    topic="signature",
    every="must",
    effects=True,
    last=True,
    why="A receiver that verifies after it has recorded lets forged events in all the same.",
    fix="Verify first; record only what verified.",
)
def check_no_phantoms(run: Run) -> None:
    effects = run.barrier()
    found = phantoms(run.forbidden(run.binding), effects)
    if found:
        shots = [a for a in run.history if not a.shot.valid and set(run.occurrences(*a.shot.events)) & set(found)]
        raise Failed(
            "no effect of what the provider never sent",
            f"{len(found)} such effects, among them {found[0]}",
            shots[:1],
        )


def _has_integer(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_integer(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_integer(one) for one in value)
    return type(value) is int
