"""Fields may be absent, new or of another type than the table says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from im_callback.conformance import needs
from im_callback.conformance.answers import modifies
from im_callback.conformance.check import check
from im_callback.conformance.content import Kept, lost_content
from im_callback.conformance.drift import drifted, drifts, is_either
from im_callback.conformance.embedded import holds_json, rewritten
from im_callback.conformance.judge import Effects, in_record, text
from im_callback.conformance.run import Run
from im_callback.conformance.samples import kept_as_sent
from im_callback.conformance.verdict import Failed, NotApplicable
from im_callback.conformance.words import NAMED, notes_of, shorten
from im_callback.provider_mock.contract import Event
from im_callback.provider_mock.history import Attempt, Shot
from im_callback.provider_mock.traffic.generate import Generator
from im_callback.provider_mock.traffic.identity import places, without
from im_callback.provider_mock.traffic.limits import limits
from im_callback.provider_mock.traffic.optional import with_optional
from im_callback.provider_mock.traffic.shape import kind_in, leaves
from im_callback.provider_mock.traffic.variants import variant_payload
from im_callback.schemas import MISSING, EventType, Failure, replace, resolve

SIZES = (1, 2, 500)
PAIR = 2
ALIKE = 3
"""Events in which one field takes one form: more of them would show nothing else."""


def optional_fields(event_type: EventType, payload: Any) -> list[str]:
    """Return the pointers of the fields that the payload has and its schema does not require."""
    found = []
    for place in dict.fromkeys(["", *places(event_type, payload)]):
        element = resolve(payload, place)
        for name in element:
            try:
                shorter = without(payload, f"{place}/{name}")
            except ValueError:
                continue
            if not event_type.problems(shorter):
                found.append(f"{place}/{name}")
    return found


def all_absent(event_type: EventType, payload: Any, optional: Iterable[str]) -> Any:
    """Return the payload without any of the fields, as far as it stays valid."""
    for pointer in optional:
        shorter = without(payload, pointer)
        if not event_type.problems(shorter):
            payload = shorter
    return payload


@check(
    "Optional fields may be absent",
    topic="payload",
    level="must",
    why="The documents say that not every field is always sent; a receiver that reads one blindly drops the event.",
    fix="Read fields with a default; require only what the schema requires.",
    remedies=("read-with-care",),
)
def check_optional_absent(run: Run) -> None:
    """Each variation of an event without optional fields is acknowledged and, where its kind is recorded, shows.

    A, whole -> acknowledged
    B, without one optional field; the same for each of them -> acknowledged
    C, without any optional field -> acknowledged
    = B and C

    - A field that need not be there is read as if it were, and its absence raises an exception.
    """
    run.must_not_be_blind()
    attempts: list[Attempt] = []
    for event_type in run.documented:
        whole = max(event_type.examples, key=len)
        optional = [one for one in optional_fields(event_type, whole) if not run.is_fixed(event_type, one)]
        cut = [(f"without {pointer}", without(whole, pointer)) for pointer in optional]
        cut.append(("without any optional field", all_absent(event_type, whole, optional)))
        shots = []
        for note, payload in cut:
            event = run.event(event_type, payload)
            if not keeps_identity(event_type, whole, event.payload):
                run.sent.indistinct.update(run.occurrences(event))
            shots.append(run.shot(event, note=f"{event_type.name} {note}"))
        attempts += compared(run, event_type, whole, shots)
    run.must_ack(attempts, "an event without its optional fields")
    telling = [a for a in attempts if not run.sent.indistinct & set(run.occurrences(*a.shot.events))]
    run.must_show(telling, "an event without its optional fields")


def compared(run: Run, event_type: EventType, whole: Any, shots: list[Shot]) -> list[Attempt]:
    """Send variations of an event, if the whole one is acknowledged just before; else that is another check's to name."""
    (control,) = run.send_each([run.shot(run.event(event_type, whole), note=f"{event_type.name}, whole")])
    return run.send_each(shots) if control.acked else []


def keeps_identity(event_type: EventType, whole: Any, payload: Any) -> bool:
    """Return whether the payload still has every identity field that the whole one has."""
    return all(
        resolve(whole, place + pointer) is MISSING or resolve(payload, place + pointer) is not MISSING
        for place in places(event_type, whole)
        for pointer in event_type.identity or ()
    )


@check(
    "Optional fields may be present",
    topic="payload",
    level="must",
    why="Fields that the samples do not show are documented all the same; a strict reader drops the event they come in.",
    fix="Take every documented field, also those that you do not use.",
    remedies=("read-with-care",),
)
def check_optional_present(run: Run) -> None:
    """Each event with one more documented field is acknowledged and, where its kind is recorded, shows.

    A, as its sample -> acknowledged
    B, with one more documented field; the same for each of them -> acknowledged
    = B

    - Fields that the samples do not show are refused.
    """
    generator = made(run)
    wholes = {event_type: run.event(event_type).payload for event_type in run.documented}
    added = {
        one: found
        for one, whole in wholes.items()
        if (found := alike(one, whole, with_optional(generator, one, whole)))
    }
    if not added:
        raise NotApplicable("the samples show every documented field")
    run.must_not_be_blind()
    attempts: list[Attempt] = []
    for one, found in added.items():
        shots = [run.shot(run.event(one, more), note=f"{one.name} with {at}") for at, more in found]
        attempts += compared(run, one, wholes[one], shots)
    run.must_ack(attempts, "an event with a documented field more")
    run.must_show(attempts, "an event with a documented field more")


def alike(event_type: EventType, whole: Any, found: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the payloads that take away no more than the whole one: a field more can make a removal of a state."""
    return [(at, more) for at, more in found if event_type.removal(more) == event_type.removal(whole)]


def made(run: Run) -> Generator:
    """Return a source of made-up values; they come from the seed."""
    return Generator(run.settings.seed, run.ids.millis, identities=run.ids)


@check(
    "What has a meaning of its own in a form arrives as it was sent",
    topic="payload",
    level="must",
    effects=True,
    why="A plus is a space in a form, and an escaped one is a plus: read as an address, or read twice, texts change.",
    fix="Let a parser of forms read the body, once.",
    needs=needs.sends_forms,
    remedies=("parse-form",),
)
def check_form_characters(run: Run) -> None:
    """An event whose text holds what means something in a form is accepted, and kept as it was said.

    A, which says plain letters -> acknowledged
    B, which says 1+1=2 & 50%2B; a b -> acknowledged
    = B, and its text

    - A form is decoded as an address is: a plus stays a plus.
    - What a parser has decoded is decoded once more.
    """
    kept_as_sent(
        run, "1+1=2 & 50%2B; a b", "an event with a plus, a percent sign and separators", "preflight.accepts-valid"
    )


@check(
    "Every documented variant is accepted",
    topic="payload",
    level="must",
    why="Text is what one tries by hand; a picture, a notice or a team brings other fields, and real users send them.",
    fix="Acknowledge every kind, also those that you do not record, and keep those that you do.",
    needs=needs.some_type(lambda one: one.variants),
    remedies=("skip-unknown", "read-with-care"),
)
def check_every_variant(run: Run) -> None:
    """Every documented variant is acknowledged and, where it is recorded, shows.

    A, one of each documented variant -> acknowledged
    = A, if its variant is recorded

    - Only texts are looked at; pictures, notices and teams are answered with an error.
    - An attachment is parsed as JSON, whatever the kind of its message.
    """
    run.must_not_be_blind()
    generator = made(run)
    attempts = run.send_each(
        run.shot(
            run.event(event_type, variant_payload(generator, event_type, variant)), note=f"{event_type.name}/{variant}"
        )
        for event_type in run.documented
        for variant in event_type.variants
    )
    run.must_ack(attempts, "every documented variant")
    run.must_show(attempts, "every variant that the receiver records")


@check(
    "Documented maxima are taken unharmed",
    topic="payload",
    level="should",
    why="A column that is too short, or a number held in 32 bits, cuts or refuses what real users send.",
    fix="Make room for the documented maxima; keep ids as text, and unsigned 32-bit numbers in 64 bits.",
    remedies=("keep-whole",),
)
def check_limits(run: Run) -> None:
    """Each event with one field at its documented maximum is acknowledged and, where it is recorded, kept unharmed.

    A, as its sample -> acknowledged
    B, with one field at its documented maximum; the same for each -> acknowledged
    = B, with the whole value

    - Texts are kept in a column of 255 characters.
    - Numbers are kept in a signed 32-bit integer.
    """
    run.must_not_be_blind()
    attempts: list[Attempt] = []
    sent: list[tuple[Attempt, str]] = []
    for event_type in run.documented:
        base = run.event(event_type)
        shots, pointers = [], []
        for pointer, payload in limits(event_type, base.payload):
            if run.is_fixed(event_type, pointer) or (
                run.settings.accounts and _is_account(event_type, payload, pointer)
            ):
                continue
            shots.append(
                run.shot(
                    run.event(event_type, payload, keep=[pointer]), note=f"{event_type.name}, {pointer} at its maximum"
                )
            )
            pointers.append(pointer)
        answered = compared(run, event_type, base.payload, shots)
        attempts += answered
        sent += zip(answered, pointers, strict=False)
    run.must_ack(attempts, "an event at a documented maximum")
    effects = run.must_show(attempts, "an event at a documented maximum")
    harmed = [(a, said) for a, pointer in sent if (said := harm(run, a, pointer, effects))]
    if harmed:
        shown = [attempt for attempt, _ in harmed]
        raise Failed("the effect holds the value as it was sent", f"{harmed[0][1]} ({notes_of(shown)})", shown)


def _is_account(event_type: EventType, payload: Any, pointer: str) -> bool:
    return kind_in(event_type.schema, payload, pointer) == "account"


def harm(run: Run, attempt: Attempt, pointer: str, effects: Effects) -> str:
    """Return how the effect of an event differs at a pointer from what was sent, if the record has it at all."""
    (event,) = attempt.shot.events
    if run.provider.catalogue[event.type].items is not None or modifies(attempt):
        return ""
    # An object or a list, embedded or not, is compared by what stands in it: a store may write it in another way.
    within = {pointer + at: text(value) for at, value in leaves(resolve(event.payload, pointer))}
    for one in run.occurrences(event):
        for record in effects.of(one):
            for at, due in within.items():
                kept = in_record(record, at)
                if kept is not MISSING and not isinstance(kept, (dict, list)) and text(kept) != due:
                    return (
                        f"{at} is {shorten(kept, 60)} in the effect ({len(text(kept))} characters), "
                        f"sent were {len(due)} characters"
                    )
    return ""


@check(
    "An unknown field does no harm",
    topic="payload",
    level="should",
    why="Providers add fields without notice; a strict parser loses every event from that day on.",
    fix="Ignore fields that you do not know.",
    remedies=("read-with-care",),
)
def check_unknown_field(run: Run) -> None:
    """An event with a field that nobody has documented yet is acknowledged and, where its kind is recorded, shows.

    A, as its sample -> acknowledged
    B, with a field that is not documented -> acknowledged
    = B

    - A strict parser refuses objects with fields that are not on its list.
    """
    run.must_not_be_blind()
    extra = {"extensionNotYetDocumented": {"since": 2030, "list": [1, None]}}
    attempts: list[Attempt] = []
    for event_type in run.documented:
        event = run.event(event_type)
        shot = run.shot(Event(event.type, {**event.payload, **extra}), note=f"{event.type} with an unknown field")
        attempts += compared(run, event_type, run.event(event_type).payload, [shot])
    run.must_ack(attempts, "an event with an unknown field")
    run.must_show(attempts, "an event with an unknown field")


@check(
    "A number may come as a text, and the reverse",
    topic="payload",
    level="should",
    why="Where table and sample disagree about the type of a field, a provider has sent both; a strict parser drops one.",
    fix="Read such fields whether they are numbers or texts.",
    needs=needs.some_type(drifts),
    remedies=("read-with-care",),
)
def check_type_drift(run: Run) -> None:
    """Each event with a value of the other documented type is acknowledged and, where its kind is recorded, shows.

    A, as its sample -> acknowledged
    B, with a number as a text, or the reverse; the same for each -> acknowledged
    = B

    - A field is read as the type that the sample shows; the other one raises an exception.
    """
    run.must_not_be_blind()
    generator = made(run)
    attempts: list[Attempt] = []
    for event_type in (one for one in run.documented if drifts(one)):
        whole = run.event(event_type).payload
        more = alike(event_type, whole, with_optional(generator, event_type, whole))
        for at, model in (("", whole), *((at, payload) for at, payload in more if is_either(event_type, at))):
            shots = []
            for pointer, _ in drifted(event_type, model):
                # In an event that a field was added to, only that is changed.
                if (at and pointer != at) or run.is_fixed(event_type, pointer):
                    continue
                changed = dict(drifted(event_type, run.event(event_type, model).payload)).get(pointer)
                if changed is not None:
                    kind = "a number" if isinstance(resolve(changed, pointer), int) else "text"
                    note = f"{event_type.name}, {pointer} as {kind}"
                    shots.append(run.shot(Event(event_type.name, changed), note=note))
            if shots:
                attempts += compared(run, event_type, model, shots)
    if not attempts:
        raise NotApplicable("no value of the samples may be of another type")
    run.must_ack(attempts, "a value of the other documented type")
    run.must_show(attempts, "a value of the other documented type")


@check(
    "JSON inside a string is read in any spelling, and need not be JSON where any text may stand",
    topic="payload",
    level="must",
    why="Whoever parses such a text without looking which message it belongs to drops those in which users wrote it.",
    fix="Parse it only for the kinds whose form is documented, and keep the text where it does not parse.",
    needs=needs.some_type(holds_json),
    remedies=("read-with-care",),
)
def check_embedded_json(run: Run) -> None:
    """Each event whose embedded JSON has another form is acknowledged and, where its kind is recorded, shows.

    A, as its sample -> acknowledged
    B, with its embedded JSON in another spelling -> acknowledged
    C, with plain words where any text may stand -> acknowledged
    = B and C

    - Every attachment is parsed as JSON, and one that is none is answered with 400.
    """
    run.must_not_be_blind()
    generator = made(run)
    attempts: list[Attempt] = []
    for event_type in (one for one in run.documented if holds_json(one)):
        models = [*event_type.examples, *(variant_payload(generator, event_type, one) for one in event_type.variants)]
        seen: Counter[tuple[str, str]] = Counter()
        for model in models:
            shots = []
            for pointer, form, _ in rewritten(event_type, run.event(event_type, model).payload):
                seen[pointer, form] += 1
                fresh = run.event(event_type, model)
                changed = {(at, which): one for at, which, one in rewritten(event_type, fresh.payload)}
                payload = changed.get((pointer, form))
                if payload is None or seen[pointer, form] > ALIKE or run.is_fixed(event_type, pointer):
                    continue
                note = f"{run.kind_of(fresh)}, {pointer} {form}"
                shots.append(run.shot(Event(event_type.name, payload), note=note))
            if shots:
                attempts += compared(run, event_type, model, shots)
    run.must_ack(attempts, "an event with embedded JSON in another form")
    run.must_show(attempts, "an event with embedded JSON in another form")


@check(
    "What is kept of one kind of message is kept of the others",
    topic="payload",
    level="should",
    effects=True,
    why="A picture, a file or a notice whose content was never stored is a line in the archive that says nothing.",
    fix="Keep the content of every kind that you record, best the payload as it came; or name what you keep with "
    "--receiver-handles.",
    needs=needs.some_type(lambda one: one.variants and one.items is None),
    remedies=("keep-whole",),
)
def check_content(run: Run) -> None:
    """A field that is kept of one kind of message is kept of all kinds that are recorded.

    A, a text -> acknowledged
    B, a picture; the same for each kind -> acknowledged
    = the content of A, and that of B

    - The content of texts is kept; of the others only that there was one.
    - Of a message with several elements the first is kept.
    """
    judged = 0
    lost: list[tuple[str, list[Attempt]]] = []
    for event_type in (one for one in run.handled if one.variants and one.items is None):
        sent = {}
        for label, payload in contents(run, event_type):
            sent[label] = run.deliver(run.event(event_type, payload), note=f"{event_type.name}/{label}")
        # What is not acknowledged, another check names.
        attempts = [one for one in sent.values() if one.acked and not modifies(one)]
        effects = run.must_show(attempts, "every variant that is recorded")
        kept = [
            Kept(label, attempt.shot.events[0].payload, records[-1])
            for label, attempt in sent.items()
            if attempt in attempts and (records := effects.of(run.occurrences(*attempt.shot.events)[0]))
        ]
        found = lost_content(event_type, kept)
        judged += len(kept) > 1
        lost += [(f"{event_type.name}: {one}", [sent[one.kind]]) for one in found]
    if not judged:
        raise NotApplicable("the receiver records no event type of which there are several kinds to compare")
    if lost:
        more = (
            f" (and {len(lost) - 1} more: {', '.join(said.partition(' is ')[0] for said, _ in lost[1:NAMED])})"
            if lost[1:]
            else ""
        )
        raise Failed(
            "what is kept of one kind kept of the others",
            f"{lost[0][0]}{more}",
            [attempt for _, attempts in lost for attempt in attempts],
        )


def contents(run: Run, event_type: EventType) -> Iterator[tuple[str, Any]]:
    """Yield a payload of each recorded variant that takes nothing away, and one with several elements."""
    generator = made(run)
    models = {}
    for variant in event_type.variants:
        payload = variant_payload(generator, event_type, variant)
        if run.keeps(Event(event_type.name, payload)) and not (
            event_type.removes(payload) or event_type.failed(payload)
        ):
            models[variant] = payload
    yield from models.items()
    for variant, (at, elements) in several(event_type, models).items():
        yield variant, replace(models[variant.partition("+")[0]], at, elements)


def several(event_type: EventType, models: Mapping[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """Return, where variants differ by the first element of a list, the pointer of the list with two such elements."""
    (pointer, *others) = event_type.variant_pointers
    at, first, _ = pointer.partition("/0/")
    names = list(models)
    if others or not first or len(names) < PAIR:
        return {}
    elements = [resolve(models[name], at)[0] for name in names[:PAIR]]
    changed = replace(dict(models[names[0]]), at, elements)
    return {"+".join(names[:PAIR]): (at, elements)} if event_type.valid(changed) else {}


@check(
    "Arrays of any size, over several rooms, are taken",
    topic="payload",
    level="should",
    why="How many entries an array holds is not said.",
    fix="Take every entry of an array, however many there are.",
    needs=needs.batches,
    remedies=("each-entry",),
)
def check_batch_sizes(run: Run) -> None:
    """Arrays of one, two and five hundred entries are acknowledged, and every entry shows.

    one array: A -> acknowledged
    one array: B, C -> acknowledged
    one array: D, E, F and 497 more, each in a room of its own -> acknowledged
    = all of them

    - Only the first entry is read.
    - Arrays of more than a hundred entries are refused.
    """
    run.must_not_be_blind()
    shots = [
        run.shot(*(run.event() for _ in range(size)), note=f"an array of {size}, each in a room of its own")
        for size in SIZES
    ]
    attempts = run.send_each(shots)
    run.must_ack(attempts, "an array of any size")
    run.must_show(attempts, "every entry of an array")


@check(
    "A message that could not be sent is not recorded as sent",
    topic="payload",
    level="must",
    effects=True,
    why="The webhook comes for messages that were blocked as well; recorded, they appear in the archive as said.",
    fix="Look at the field that reports it, and record nothing as sent that was not.",
    needs=needs.some_type(lambda one: one.failure),
    remedies=("read-with-care",),
)
def check_failed_send(run: Run) -> None:
    """An event that reports a failure is acknowledged, and shows as no sent message.

    A, a message that could not be sent -> acknowledged
    = nothing that looks like a sent message

    - The field that reports the failure is not looked at.
    """
    kinds = [one for one in run.handled if one.failure is not None]
    if not kinds:
        raise NotApplicable("the receiver records no event type that can report a failure")
    for kind in kinds:
        assert kind.failure is not None
        event = run.event(kind, values=kind.failure.values)
        attempt = run.deliver(event, note=f"{kind.name} that reports a failure")
        run.must_ack([attempt], "a message that could not be sent")
        effects = run.barrier()
        for one in run.occurrences(event):
            if any(not _told(record, kind.failure) for record in effects.of(one)):
                raise Failed("no effect that looks like a sent message", f"the effects show {one}", [attempt])


def _told(record: Any, failure: Failure) -> bool:
    """Return whether a record says itself that it is about a failure, by the fields that decide it."""
    deciding = [f"/{name}" for name in failure.when.get("required", ())]
    return any(text(in_record(record, at)) == text(value) for at, value in failure.values.items() if at in deciding)
