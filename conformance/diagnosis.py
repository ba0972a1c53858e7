"""Why a receiver refuses everything, or shows nothing: found by experiment, told in its own words, with what to set.

One thing is changed at a time; what turns the answer is the reason. Effects are searched for the values
that were sent: under whatever names they turn up, a map is made of them and tried before it is proposed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from im_callback.conformance.effects import BadEffects, EffectsError, compiled
from im_callback.conformance.judge import Matcher, in_record, text
from im_callback.conformance.run import Run
from im_callback.conformance.samples import saying
from im_callback.conformance.twins import foreign
from im_callback.conformance.words import counted, said_of, shorten
from im_callback.provider_mock.contract import Credentials, Event
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.traffic.shape import kind_at, leaves
from im_callback.schemas import EventType, occurrences
from im_callback.schemas.pointer import join, split

SWITCHES = frozenset({"true", "false"})
"""Values that any record may have somewhere."""
TELLING = 4
"""Characters from which on a value counts as a trace: shorter ones are everywhere."""
TIMES = frozenset({"millis", "seconds"})
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found out, in a sentence or not at all, what to do, and the exchanges that show it."""

    said: str
    fix: str
    attempts: tuple[Attempt, ...] = ()


class Trial(NamedTuple):
    """One change, in words, its request, and what to do where it turns the answer."""

    change: str
    shot: Shot
    fix: str


def why_refused(run: Run, refused: Sequence[Attempt]) -> Diagnosis:
    """Return why valid samples are refused, by changing one thing at a time."""
    first = refused[0]
    event_type = run.provider.catalogue[first.shot.events[0].type]
    for trial in _trials(run, event_type, first.shot.events[0]):
        (attempt,) = run.send(trial.shot)
        if attempt.acked:
            return Diagnosis(f"One change turned the answer: {trial.change}", trial.fix, (first, attempt))
    if run.settings.credentials.app_secret is None:
        return Diagnosis("", "Its answer says why, or its log does; is a token set at the receiver?", (first,))
    (wrong,) = run.send(foreign(run, event=run.event(event_type, first.shot.events[0].payload)))
    if (first.status or 0) >= 500 and first.status == wrong.status:
        return Diagnosis(
            "A request that is signed with another secret ends in the same error: it breaks off, whoever has signed",
            "Its log says what was not caught",
            (first, wrong),
        )
    if wrong.words == first.words and wrong.outcome is first.outcome:
        return Diagnosis(
            "A request that is signed with another secret gets the same answer: to this receiver the "
            "signature is wrong, or it refuses whatever comes",
            "Compare --receiver-provider, --receiver-app-key and --receiver-app-secret with what the receiver was "
            "started with; then the bytes that it hashes",
            (first, wrong),
        )
    return Diagnosis(
        f"A request that is signed with another secret gets another answer ({said_of(wrong)}): the "
        "signature is right, and what refuses comes after it",
        "Its answer says why, or its log does",
        (first, wrong),
    )


def _trials(run: Run, event_type: EventType, refused: Event) -> Iterator[Trial]:
    own, defaults = run.settings.credentials, run.provider.defaults

    def shot(note: str, **how: Any) -> Shot:
        event = how.pop("event", None) or run.event(event_type, refused.payload)
        return run.shot(event, note=f"tried: {note}", **how)

    yield Trial(
        "the same again, a moment later",
        shot("the same again"),
        "The receiver was not ready: wait for it before the run starts",
    )
    secrets = {
        "the test secret of the documentation": defaults.app_secret,
        "an empty secret": "",
        "the app key in the place of the secret": own.app_key,
    }
    meant = {
        "the test secret of the documentation": "The receiver runs with the test secret: leave --receiver-app-secret out",
        "an empty secret": "The receiver verifies with an empty secret: its own is not configured",
        "the app key in the place of the secret": "The receiver takes the app key for the secret",
    }
    if own.app_secret is not None:
        for name, secret in secrets.items():
            if secret is not None and secret != own.app_secret:
                used = Credentials(own.app_key, secret)
                yield Trial(f"signed with {name}", shot(name, credentials=used), meant[name])
    if own.app_key != defaults.app_key:
        used = Credentials(defaults.app_key, own.app_secret)
        yield Trial(
            "for the test application of the documentation",
            shot("the test application", credentials=used),
            "The receiver runs for the test application: leave --receiver-app-key out",
        )
    for name, named in run.feed.wires.items():
        if named.wire != run.settings.wire:
            yield Trial(
                named.description,
                shot(named.description, wire=named.wire),
                f"If your provider sends it so, give --receiver-wire={name}; with it everything else can be judged. "
                "Else let the receiver take the documented form too",
            )
    plain = saying(run, run.event(event_type, refused.payload), event_type, "abc")
    if not _is_ascii(refused) and _is_ascii(plain):
        yield Trial(
            "plain ASCII in all texts",
            shot("plain ASCII", event=plain),
            "Hash the raw bytes, and decode the body as UTF-8 whatever the locale says",
        )


def _is_ascii(event: Event) -> bool:
    return all(text(value).isascii() for _, value in leaves(event.payload))


class Trace(NamedTuple):
    """Where the identity of an event turned up: the record's field by the payload's, and what is nowhere."""

    type: str
    fields: Mapping[str, str]
    missing: tuple[str, ...]


def why_unseen(run: Run, acked: Sequence[Attempt]) -> Diagnosis:
    """Return what the effects hold of what was delivered and acknowledged, although no record fits."""
    raw = raw_records(run)
    if not raw:
        return Diagnosis(
            "the effects are empty",
            "Does the receiver record in the place that --receiver-effects reads, and soon enough "
            "(--receiver-settle)? Its answers say that it received them",
            tuple(acked[:1]),
        )
    traces = list(find_traces(run, acked, raw))
    if not traces:
        last = raw[-1]
        shown = (
            f"the last record has the fields {', '.join(map(str, last))}"
            if isinstance(last, Mapping)
            else (f"the last record is no object: {shorten(last)}")
        )
        return Diagnosis(
            f"none of the values that were sent turns up among {counted(len(raw), 'record', 'records')}; {shown}",
            "Are these the effects of this receiver? Let each record carry the identity fields of its event type "
            "(provider-mock events lists them)",
            tuple(acked[:1]),
        )
    told = "; ".join(told_of(one) for one in traces)
    proposed = proposal(run, acked, raw, traces)
    lacking = [one for one in traces if one.missing]
    fixes = [f"Give {proposed}"] if proposed else []
    if lacking:
        fixes.append("Let the records carry the missing fields too, under any name")
    fix = "; ".join(fixes) or "Rename the fields with --receiver-effects-map (JMESPath)"
    nowhere = sorted({a.shot.events[0].type for a in acked} - {one.type for one in traces})
    more = f". Acknowledged, and nowhere: {', '.join(nowhere)}" if nowhere else ""
    return Diagnosis(f"no record fits, but values that were sent turn up: {told}{more}", fix, tuple(acked[:1]))


def raw_records(run: Run) -> Sequence[Any]:
    """Return the records as the source gives them, before they are renamed."""
    read = getattr(run.read_effects, "read_raw", None)
    try:
        return list(read()) if read is not None else list(run.records())
    except EffectsError:
        return []


def find_traces(run: Run, acked: Iterable[Attempt], records: Sequence[Any]) -> Iterator[Trace]:
    """Yield, for each event type whose identity turns up in a record, where its fields are."""
    found = [{pointer: text(value) for pointer, value in leaves(record)} for record in records]
    seen: set[str] = set()
    for attempt in acked:
        for event in attempt.shot.events:
            if event.type not in seen and (trace := _trace(run.provider.catalogue[event.type], event, found)):
                seen.add(event.type)
                yield trace


def _trace(event_type: EventType, event: Event, records: Sequence[Mapping[str, str]]) -> Trace | None:
    for element in occurrences(event_type, event.payload):
        values = {pointer: said for pointer in event_type.identity or () if (said := text(in_record(element, pointer)))}
        # Two events may share a moment: a time alone is no trace.
        timeless = [one for one in values if kind_at(event_type.schema, (event_type.items or "") + one) not in TIMES]
        telling = {
            pointer: said for pointer in timeless if len(said := values[pointer]) >= TELLING and said not in SWITCHES
        }
        best = max(records, key=lambda record: len(set(telling.values()) & set(record.values())), default={})
        # Several fields may hold one value, such as two times: each has a name of its own.
        names: dict[str, str] = {}
        for pointer, said in values.items():
            places = [place for place, value in best.items() if value == said and place not in names.values()]
            same = [place for place in places if place.rpartition("/")[2] == pointer.rpartition("/")[2]]
            if places:
                names[pointer] = (same or places)[0]
        if any(pointer in names for pointer in telling):
            return Trace(event_type.name, names, tuple(pointer for pointer in values if pointer not in names))
    return None


def told_of(trace: Trace) -> str:
    """Return a trace in words."""
    found = ", ".join(f"{_name(pointer)} as {_path(place)}" for pointer, place in trace.fields.items())
    lacking = f", without {', '.join(map(_name, trace.missing))}" if trace.missing else ""
    return f"{trace.type}: {found}{lacking}"


def _name(pointer: str) -> str:
    return pointer.rpartition("/")[2]


def _path(pointer: str) -> str:
    """Return a pointer as a JMESPath expression."""
    path = ""
    for token in split(pointer):
        name = token if PLAIN.fullmatch(token) else '"' + token.replace('"', '\\"') + '"'
        path += f"[{token}]" if path and token.isdecimal() else f".{name}" if path else name
    return path


def proposal(run: Run, acked: Sequence[Attempt], raw: Sequence[Any], traces: Sequence[Trace]) -> str:
    """Return the option that makes most records fit what was sent, tried on the records; empty if none does."""
    places = [
        (_whole(run.provider.catalogue[one.type], pointer, place), place)
        for one in traces
        for pointer, place in one.fields.items()
    ]
    within = Counter(place.removesuffix(pointer) for pointer, place in places if place.endswith(pointer))
    candidates = [_path(prefix) for prefix, _ in within.most_common(1) if prefix] + [_renaming(places)]
    fitting = {expression: _fitting(run, acked, raw, expression) for expression in candidates}
    best = max(candidates, key=lambda expression: len(fitting[expression]))
    if not fitting[best]:
        return ""
    others = sorted({one.type for one in traces} - fitting[best])
    return f"--receiver-effects-map='{best}'" + (f" (it does not fit {', '.join(others)})" if others else "")


def _whole(event_type: EventType, pointer: str, place: str) -> str:
    """Return a pointer of an element as one of the payload, where the place passes through a list."""
    index = place.removesuffix(pointer).rpartition("/")[2]
    within = event_type.items is not None and place.endswith(pointer) and index.isdecimal()
    return f"{event_type.items}/{index}{pointer}" if within else pointer


def _renaming(places: Iterable[tuple[str, str]]) -> str:
    """Return the expression that gives each field the payload's name, or the outermost thing that holds it."""
    sources: dict[str, list[str]] = {}
    for pointer, place in places:
        outer, *inner = split(pointer)
        found = split(place)
        alike = inner and found[-len(inner) :] == inner and len(found) > len(inner)
        name, path = (outer, found[: -len(inner)]) if alike else (split(pointer)[-1], found)
        paths = sources.setdefault(name, [])
        if (expression := _path(join(path))) not in paths:
            paths.append(expression)
    return "{" + ", ".join(f"{_path('/' + name)}: {' || '.join(paths)}" for name, paths in sources.items()) + "}"


def _fitting(run: Run, acked: Sequence[Attempt], raw: Sequence[Any], expression: str) -> set[str]:
    """Return the event types of which records fit once they are renamed."""
    matcher = Matcher(run.provider.catalogue)
    matcher.add(event for attempt in acked for event in attempt.shot.events)
    try:
        rename = compiled(expression)
        renamed = [rename(one) for one in raw]
    except (BadEffects, EffectsError):
        return set()
    return {one.type for one in matcher.match(renamed).order}
