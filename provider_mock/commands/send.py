"""`provider-mock send`: deliver events now, disturbed if asked for."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import click
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Event, NoReply, Outcome

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.fault import Fault
    from im_callback.provider_mock.delivery.perform import PlannedAttempt
    from im_callback.provider_mock.traffic.generate import Generator
    from im_callback.schemas import EventType

DUE = {
    "acknowledgement": "an acknowledgement",
    "refusal": "a refusal, for the signature does not fit",
    "answer": "some answer in time",
    "nothing": "nothing",
}


@click.command()
@click.argument("name", metavar="EVENT-TYPE")
@click.option("--to", "url", required=True, type=typed.endpoint, metavar="URL", help="Where to post it.")
@click.option("--provider", "provider_name", metavar="PROVIDER", help="For an event type named without its provider.")
@typed.credentials_options
@click.option("--set", "assignments", multiple=True, metavar="/POINTER=VALUE", help="Set a field; repeatable.")
@click.option("--generate", is_flag=True, help="Make payloads up instead of taking the documented samples.")
@click.option(
    "--count", type=typed.whole("--count", 1), default=1, metavar="N", show_default=True, help="How many events."
)
@typed.fault_option
@typed.SEED_OPTION
@typed.JSON_OPTION
def send(
    name: str,
    url: str,
    provider_name: str | None,
    app_key: str | None,
    app_secret: str | None,
    assignments: tuple[str, ...],
    generate: bool,
    count: int,
    disturbances: tuple[Fault, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Deliver events now; print each attempt.

    Exit 0 only if all were acknowledged. With faults: an attempt whose reply cannot come back is made up
    for by its retry; one whose signature does not fit must be refused; one that is correctly signed but
    broken, or stale, must be answered.
    """
    from im_callback.provider_mock.delivery import faults
    from im_callback.provider_mock.delivery.changes import CannotChange
    from im_callback.provider_mock.delivery.clock import utc_millis
    from im_callback.provider_mock.delivery.courier import Courier
    from im_callback.provider_mock.delivery.fault import NothingToDisturb
    from im_callback.provider_mock.delivery.make import Maker
    from im_callback.provider_mock.delivery.perform import fulfilled, perform
    from im_callback.provider_mock.delivery.plan import plan
    from im_callback.provider_mock.delivery.sockets.client import Client
    from im_callback.provider_mock.traffic.generate import Generator, Undescribed

    event_type = typed.event_type_named(name if provider_name is None or "." in name else f"{provider_name}.{name}")
    if provider_name not in (None, event_type.provider):
        raise typed.Wrong(f"{event_type.name} is not an event type of {provider_name}; leave --provider out")
    provider = providers.load(event_type.provider)
    credentials = typed.credentials_for(provider, app_key, app_secret)
    number = typed.chosen_seed(seed)
    generator = Generator(number, utc_millis())
    if event_type.status == "undocumented" or not (generate or event_type.examples):
        raise typed.fail(Undescribed(event_type.name))
    events = [[_event(generator, event_type, place, assignments, generate=generate)] for place in range(count)]
    for note in typed.doubted(event_type, assignments):
        click.echo(note, err=True)
    maker = Maker(provider, credentials, url, events, lambda: str(generator.random.getrandbits(48)))
    try:
        planned = faults.apply(disturbances, plan(count), Random(number))
        maker.check(planned)
    except (NothingToDisturb, CannotChange) as error:
        raise typed.fail(error) from None
    attempts = []
    for attempt in perform(planned, maker, Courier(Client(provider.feed_of(event_type.name).deadline))):
        attempts.append(attempt)
        if printed.for_people(as_json):
            click.echo(_told(attempt, with_place=bool(disturbances)))
        else:
            printed.line(_shown(attempt))
    if not fulfilled(attempts):
        raise SystemExit(1)


def _event(
    generator: Generator, event_type: EventType, place: int, assignments: tuple[str, ...], *, generate: bool
) -> Event:
    if generate:
        event = generator.event(event_type)
    else:
        event = generator.identities.fresh(event_type, event_type.examples[place % len(event_type.examples)])
    return typed.assigned(event_type, event, assignments)


def _told(attempt: PlannedAttempt, *, with_place: bool) -> str:
    rule, words = _rule(attempt), _masked(attempt, attempt.words)
    if attempt.outcome is Outcome.REFUSED and " " in words:
        rule = f"{rule}; it says: {words}"
    told = f"{attempt.outcome.value} in {attempt.reply.seconds * 1000:.0f} ms: {rule}"
    if not with_place:
        return told
    due = "" if attempt.as_expected else f"; due was {DUE[attempt.expected]}"
    return f"{attempt.shot.note}: {told}{due}"


def _rule(attempt: PlannedAttempt) -> str:
    """Return why: what happened on the socket, where the fault left nothing to judge."""
    if attempt.expected == "nothing" and isinstance(attempt.reply, NoReply):
        return attempt.reply.detail
    return _masked(attempt, attempt.judgement.rule)


def _masked(attempt: PlannedAttempt, text: str) -> str:
    """Return what the receiver said without the secret, should it tell that."""
    return attempt.shot.credentials.masked(text) if attempt.shot.credentials else text


def _shown(attempt: PlannedAttempt) -> dict[str, Any]:
    step, event = attempt.step, attempt.shot.events[0]
    return {
        "event_type": event.type,
        "payload": event.payload,
        "outcome": attempt.outcome.value,
        "rule": _rule(attempt),
        "words": _masked(attempt, attempt.words),
        "status": attempt.status,
        "seconds": round(attempt.reply.seconds, 6),
        "delivery": step.index + 1,
        "copy": step.copy + 1,
        "attempt": step.attempt + 1,
        "expected": attempt.expected,
        "as_expected": attempt.as_expected,
    }
