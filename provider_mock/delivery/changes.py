"""What makes a request another than the provider would send: named changes, from which faults and checks choose.

A change is plain data; what it does is a pure function in `KINDS`. Three rules hold for all of them:

* One that nobody knows is an error as soon as it is named, and one that finds nothing to do is an error too
  (`CannotChange`): nothing is ever sent undisturbed by accident.
* Those made before signing leave a signature that fits; those made after it do not touch the signature.
* Whether what comes out is forged is for the feed's own `verify` to say (`judged`); `broken` is what no provider
  sends, however well it is signed.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from im_callback.provider_mock.contract import Credentials, Event, Feed, Parameter, Request, Stamp
from im_callback.provider_mock.delivery.bodies import BODIES, BROKEN
from im_callback.provider_mock.history import Shot
from im_callback.provider_mock.traffic.shape import leaves, own_fields
from im_callback.provider_mock.wire import Wire
from im_callback.schemas import EventType, resolve
from im_callback.schemas import replace as put
from im_callback.schemas.nearest import choice, question

NOT_ASCII = "é"
FULL = 4
"""How far from the end of a value in base64 a character certainly counts: the last bits and the padding may not."""


class CannotChange(ValueError):
    """A change asks for something that the feed's requests, or this one, do not have."""


@dataclass(frozen=True, slots=True)
class Change:
    """One named change to a request; raises `CannotChange` for one that is not in `KINDS`.

    | kind | does |
    |---|---|
    | `secret` | signs with another secret: `value` is `other` (`name`, if given), `empty`, `app-key` or `previous` |
    | `app` | names another app, whose key is `value` or made from the own one, and signs for it |
    | `break` | puts a body there that is no callback; `value` says which (`bodies.BODIES`), `name` a text that it hits |
    | `pad` | fills the body up with white space to `value` bytes |
    | `drop`, `empty` | leaves parameter `name` out, empties it |
    | `double` | gives it twice; `value` `wrong`: first a wrong one |
    | `alter` | adds 1 to it, or changes a character where it is no number |
    | `time` | adds `value` to the time |
    | `signature` | keeps the first `value` characters |
    | `lengthen` | adds `value` to the signature |
    | `not-ascii` | puts a signature of the same length there, in other letters |
    | `body` | changes one text in the body, part of the identity if possible; `name` `content`: outside of it; `value` \
`recompute`: the body's digest fits again |
    | `digest` | gives the digest of another body |
    | `parameters` | gives the parameters of another request of the feed, the `donor` |
    | `method` | another HTTP method, `value` |

    `secret`, `app`, `break` and `pad` are made before signing. `name` is a parameter's name or its role.
    """

    kind: str
    name: str = ""
    value: str = ""

    def __post_init__(self) -> None:
        known = KINDS.get(self.kind)
        if known is None:
            raise CannotChange(f"no change is called {self.kind!r}; {choice(self.kind, KINDS)}")
        if known.values and self.value not in known.values:
            raise CannotChange(f"the change {self.kind} knows no {self.value!r}; {choice(self.value, known.values)}")


class Way(NamedTuple):
    """Where requests go and how they are written; `donor` is a request that others take parameters from."""

    endpoint: str
    wire: Wire
    donor: Request | None = None


class Kind(NamedTuple):
    """What a change does, at which stage, to the parameter with which role (none: the change names it)."""

    stage: Literal["credentials", "body", "parameter", "request"]
    apply: Callable[..., tuple[Any, str]]
    """Returns the credentials, the body, the parameter's values or the shot, changed, and a note in words."""
    role: str = ""
    broken: bool = False
    values: tuple[str, ...] = ()


def made(
    feed: Feed,
    events: Sequence[Event],
    credentials: Credentials,
    stamp: Stamp,
    way: Way,
    changes: Iterable[Change] = (),
    note: str = "",
    body: bytes | None = None,
) -> Shot:
    """Return the signed request for the events, with its changes; without a note, these say what it is.

    `body` is what carries the events, where they are not to be written anew.

    Raises `CannotChange`, naming what is missing.
    """
    by_stage: dict[str, list[tuple[Change, Kind]]] = {"credentials": [], "body": [], "after": []}
    for change in changes:
        kind = KINDS[change.kind]
        by_stage[kind.stage if kind.stage in by_stage else "after"].append((change, kind))
    used, said = credentials, ""
    for change, kind in by_stage["credentials"]:
        used, said = _other_than(used, kind.apply(feed, used, change), feed, change)
    code = feed.code_of(events)
    if body is None:
        signed = feed.request(events, way.endpoint, used, stamp, way.wire)
    else:
        signed = feed.sign(body, code, way.endpoint, used, stamp, way.wire)
    if by_stage["body"]:
        body = feed.body(events, way.wire) if body is None else body
        if feed.sign(body, code, way.endpoint, used, stamp, way.wire) != signed:
            # The feed says more in its requests than stands in the events: the key of the application, for one.
            body = signed.body
        for change, kind in by_stage["body"]:
            body, said = _other_than(body, kind.apply(feed, body, change), feed, change)
        usual, signed = signed, feed.sign(body, code, way.endpoint, used, stamp, way.wire)
        _other_than(usual, (signed, f"{said}, which signing undoes"), feed, by_stage["body"][-1][0])
    broken = any(kind.broken for found in by_stage.values() for _, kind in found)
    shot = Shot(feed, signed, signed, tuple(events), used, stamp, broken=broken)
    for change, kind in by_stage["after"]:
        before = shot.request
        if kind.stage == "request":
            shot, said = kind.apply(shot, change, way)
        else:
            parameter, old = _parameter(shot, change.name or kind.role, way)
            values, words = kind.apply(parameter, old, change)
            shot, said = replace(shot, request=parameter.given(before, *values)), f"{parameter.name} {words}"
        _other_than(before, (shot.request, said), feed, change)
    return replace(shot, note=note or said)


def judged(shot: Shot, credentials: Credentials, now_millis: int) -> Shot:
    """Return the shot, forged if the feed's own rule finds anything wrong with it now."""
    problem = shot.feed.verify(shot.request, credentials, now_millis)
    return replace(shot, forged=shot.forged or problem is not None)


def another(text: str) -> str:
    """Return the text with another character of the same sort: the last one, or one that counts in base64 too."""
    plain = len(text) < 2 * FULL or set(text) <= set(string.hexdigits)
    at = len(text) - 1 if plain else len(text) - FULL
    old = text[at:][:1]
    new = str((int(old) + 1) % 10) if old and old in string.digits else "b" if old == "a" else "a"
    return text[: max(at, 0)] + new + text[at + 1 :]


def next_to(text: str) -> str:
    """Return the number after this one, or what is no number with another character: who tries neighbours takes it."""
    return str(int(text) + 1).zfill(len(text)) if text.isascii() and text.isdecimal() else another(text)


def _other_than(before: Any, made: tuple[Any, str], feed: Feed, change: Change) -> tuple[Any, str]:
    if made[0] == before:
        raise CannotChange(
            f"{change.kind} finds nothing to do in a request of {feed.full_name}: {made[1]}, it is so already"
        )
    return made


def _parameter(shot: Shot, wanted: str, way: Way) -> tuple[Parameter, str]:
    """Return the parameter with this role or name, and its value in the request."""
    feed = shot.feed
    known = feed.parameters_in(way.wire)
    for parameter in known:
        if wanted == parameter.role or wanted.lower() == parameter.name.lower():
            if values := parameter.values(shot.request):
                return parameter, values[0]
            if shot.credentials is None or shot.credentials.app_secret is None:
                raise _unsigned(feed, wanted)
            raise CannotChange(f"this request of {feed.full_name} has no {wanted} in its {parameter.place}")
    asked = question(wanted, [name for one in known for name in (one.name, one.role)])
    names = ", ".join(f"{one.name} ({one.role})" for one in known)
    fix = f"{asked} it has {names}".lstrip() if names else "it has none: choose another fault"
    raise CannotChange(f"{feed.full_name} has no parameter {wanted!r} that could be changed; {fix}")


def _unsigned(feed: Feed, wanted: str) -> CannotChange:
    return CannotChange(f"{feed.full_name} sends no {wanted} while no secret is set; give the app secret")


def _secret(feed: Feed, used: Credentials, change: Change) -> tuple[Credentials, str]:
    if change.value == "previous":
        if used.previous is None:
            raise CannotChange(
                f"previous-secret finds nothing to do in a request of {feed.full_name}: no previous secret is set;"
                " give an app of provider-mock serve one, previous_secret"
            )
        return used.swapped, "signed with the previous secret"
    if used.app_secret is None:
        raise _unsigned(feed, "signature")
    other, note = {
        "other": (change.name or f"not-{used.app_secret}", "signed with another secret"),
        "empty": ("", "signed with an empty secret"),
        "app-key": (used.app_key, "signed with the app key"),
    }[change.value]
    return replace(used, app_secret=other, earlier=()), note


def _app(feed: Feed, used: Credentials, change: Change) -> tuple[Credentials, str]:
    if not feed.has("key"):
        raise CannotChange(f"{feed.full_name} names no application in its requests")
    own = used.app_key
    other = change.value or (str(int(own) + 1) if own.isdecimal() else f"{own}-other")
    return replace(used, app_key=other), "for another application"


def _break(feed: Feed, body: bytes, change: Change) -> tuple[bytes, str]:
    known = BODIES[feed.encoding]
    if change.value not in known:
        raise CannotChange(
            f"{feed.full_name} sends forms, which cannot be broken by {change.value!r}; choose one of: {', '.join(known)}"
        )
    make, note = known[change.value]
    if (broken := make(body, change.name)) is None:
        raise CannotChange(
            f"a body of {feed.full_name} has nothing in it that {change.value!r} could break: {body[:80]!r}"
        )
    return broken, note


def _pad(feed: Feed, body: bytes, change: Change) -> tuple[bytes, str]:
    del feed
    return body.ljust(int(change.value)), f"a body of {max(len(body), int(change.value))} bytes"


def _time(parameter: Parameter, old: str, change: Change) -> tuple[tuple[str], str]:
    try:
        return (str(int(old) + int(change.value)),), "changed after signing"
    except ValueError:
        raise CannotChange(f"{parameter.name} is {old!r}, to which {change.value!r} cannot be added") from None


def _each(change_one: Callable[[str, str], str], words: str) -> Callable[..., tuple[tuple[str], str]]:
    """Return what changes a value, and each one of several in a row."""

    def apply(parameter: Parameter, old: str, change: Change) -> tuple[tuple[str], str]:
        return (parameter.each(old, lambda one: change_one(one, change.value)),), words.format(change.value)

    return apply


def _double(parameter: Parameter, old: str, change: Change) -> tuple[tuple[str, str], str]:
    del parameter
    return ((f"{old[::-1]}0", old), "twice, wrong then right") if change.value else ((old, old), "twice")


def _body(shot: Shot, change: Change, way: Way) -> tuple[Shot, str]:
    events, body, other = _tampered(shot, change, way)
    changed = replace(shot, request=shot.request._replace(body=body), events=events)
    if not change.value:
        return changed, "body changed after signing"
    digest, _ = _parameter(shot, "digest", way)
    fitting = digest.given(changed.request, *digest.values(other))
    return replace(changed, request=fitting), f"body changed, {digest.name} computed anew"


def _digest(shot: Shot, change: Change, way: Way) -> tuple[Shot, str]:
    digest, _ = _parameter(shot, "digest", way)
    _, _, other = _tampered(shot, change, way)
    changed = digest.given(shot.request, *digest.values(other))
    return replace(shot, request=changed), f"{digest.name} of another body, the signature right"


def _tampered(shot: Shot, change: Change, way: Way) -> tuple[tuple[Event, ...], bytes, Request]:
    """Return the events with another text in the first, their body as it was signed otherwise, and signed for them."""
    feed, events = shot.feed, shot.events
    assert shot.credentials is not None
    assert shot.stamp is not None
    if shot.broken:
        # It is not the events any more: other bytes will do.
        body = shot.request.body + b" "
        other = feed.sign(body, feed.code_of(events), way.endpoint, shot.credentials, shot.stamp, way.wire)
        return events, body, other
    event_type = feed.provider.catalogue[events[0].type]
    events = (Event(event_type.name, _changed(event_type, events[0].payload, change.name)), *events[1:])
    other = kept = feed.request(events, way.endpoint, shot.credentials, shot.stamp, way.wire)
    for parameter in feed.parameters_in(way.wire):
        if parameter.place == "body":
            kept = parameter.given(kept, *parameter.values(shot.request))
    return events, kept.body, other


def _changed(event_type: EventType, payload: dict[str, Any], where: str) -> dict[str, Any]:
    """Return the payload with another value: part of the identity if possible, so that an effect would show.

    With `content` the identity stays. It is still a payload of its type, and as valid as before.
    """
    texts = [pointer for pointer, value in leaves(payload) if isinstance(value, str) and value]
    identity = [pointer for pointer in event_type.identity or () if pointer in texts]
    numbers = [pointer for pointer, value in leaves(payload) if type(value) is int]
    found = own_fields(event_type, payload) if where else [*numbers, *(one for one in texts if one not in identity)]
    valid = len(event_type.problems(payload))
    for pointer in [*([] if where else identity), *reversed(found)]:
        old = resolve(payload, pointer, None)
        if isinstance(old, (str, int)):
            changed: Any = put(payload, pointer, another(old) if isinstance(old, str) else old + 1)
            if event_type.detects(changed) and len(event_type.problems(changed)) <= valid:
                return dict(changed)
    if where:
        return {**payload, "extension": "1"}
    raise CannotChange(f"a body of {event_type.name} holds no text and no number that could be changed: {payload}")


def _parameters(shot: Shot, change: Change, way: Way) -> tuple[Shot, str]:
    del change
    if way.donor is None:
        raise CannotChange("no other request is there to take the parameters from")
    request = shot.request
    for parameter in shot.feed.parameters_in(way.wire):
        request = parameter.given(request, *parameter.values(way.donor))
    return replace(shot, request=request), "headers of another delivery"


def _method(shot: Shot, change: Change, way: Way) -> tuple[Shot, str]:
    del way
    return replace(shot, request=shot.request._replace(method=change.value)), f"by {change.value}"


KINDS: Mapping[str, Kind] = {
    "secret": Kind("credentials", _secret, values=("other", "empty", "app-key", "previous")),
    "app": Kind("credentials", _app),
    "break": Kind("body", _break, broken=True, values=BROKEN),
    "pad": Kind("body", _pad, broken=True),
    "drop": Kind("parameter", lambda *_: ((), "left out")),
    "empty": Kind("parameter", lambda *_: (("",), "empty")),
    "double": Kind("parameter", _double),
    "alter": Kind("parameter", _each(lambda one, _: next_to(one), "changed after signing")),
    "time": Kind("parameter", _time, "time"),
    "signature": Kind("parameter", _each(lambda one, value: one[: int(value)], "cut to {} characters"), "signature"),
    "lengthen": Kind("parameter", _each(str.__add__, "with characters after it"), "signature"),
    "not-ascii": Kind(
        "parameter", _each(lambda one, _: NOT_ASCII * len(one), "of the right length, not in ASCII"), "signature"
    ),
    "body": Kind("request", _body),
    "digest": Kind("request", _digest),
    "parameters": Kind("request", _parameters),
    "method": Kind("request", _method, broken=True),
}
"""Every kind of change."""
