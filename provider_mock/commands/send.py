"""`provider-mock send`: deliver events now, disturbed if asked for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

import click

from provider_mock import cli, providers
from provider_mock.contract import Event, NoReply

if TYPE_CHECKING:
    from provider_mock.delivery.fault import Fault
    from provider_mock.delivery.perform import PlannedAttempt
    from provider_mock.traffic.generate import Generator
    from schemas import EventType

DUE = {
    "acknowledgement": "an acknowledgement",
    "refusal": "a refusal, for the signature does not fit",
    "answer": "some answer in time",
    "nothing": "nothing",
}


def fault_described(text: str) -> Fault:
    """Return the fault that was typed; the error names what is wrong with it and the fix."""
    from provider_mock.delivery import faults

    try:
        return faults.parse(text)
    except (LookupError, ValueError) as error:
        raise cli.fail(error) from None


def fault_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --fault."""
    return click.option(
        "--fault",
        "disturbances",
        multiple=True,
        type=fault_described,
        metavar="NAME[:ATTRIBUTE=VALUE,…]",
        help="Disturb the deliveries; repeatable, applied from left to right. See provider-mock faults.",
    )(command)


@cli.main.command()
@click.argument("name", metavar="EVENT-TYPE")
@click.option("--to", "url", required=True, type=cli.endpoint, metavar="URL", help="Where to post it.")
@click.option("--provider", "provider_name", metavar="PROVIDER", help="For an event type named without its provider.")
@cli.credentials_options
@click.option("--set", "assignments", multiple=True, metavar="/POINTER=VALUE", help="Set a field; repeatable.")
@click.option("--generate", is_flag=True, help="Make payloads up instead of taking the documented samples.")
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many events.")
@fault_option
@cli.SEED_OPTION
@cli.JSON_OPTION
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
    from provider_mock.delivery import faults
    from provider_mock.delivery.client import Client
    from provider_mock.delivery.clock import utc_millis
    from provider_mock.delivery.courier import Courier
    from provider_mock.delivery.fault import NothingToDisturb
    from provider_mock.delivery.make import CannotChange, Maker
    from provider_mock.delivery.perform import fulfilled, perform
    from provider_mock.delivery.plan import plan
    from provider_mock.traffic.generate import Generator, Undescribed

    event_type = cli.event_type_named(name if provider_name is None or "." in name else f"{provider_name}.{name}")
    if provider_name not in (None, event_type.provider):
        raise cli.Fault(f"{event_type.name} is not an event type of {provider_name}; leave --provider out")
    provider = providers.load(event_type.provider)
    credentials = cli.credentials_for(provider, app_key, app_secret)
    number = cli.chosen_seed(seed)
    generator = Generator(number, utc_millis())
    if event_type.status == "undocumented" or not (generate or event_type.examples):
        raise cli.fail(Undescribed(event_type.name))
    events = [[_event(generator, event_type, place, assignments, generate=generate)] for place in range(count)]
    maker = Maker(provider, credentials, url, events, lambda: str(generator.random.getrandbits(48)))
    try:
        planned = faults.apply(disturbances, plan(count), Random(number))
        maker.check(planned)
    except (NothingToDisturb, CannotChange) as error:
        raise cli.fail(error) from None
    attempts = []
    for attempt in perform(planned, maker, Courier(provider, Client(provider.deadline))):
        attempts.append(attempt)
        if cli.for_people(as_json):
            click.echo(_told(attempt, with_place=bool(disturbances)))
        else:
            cli.line(_shown(attempt))
    if not fulfilled(attempts):
        raise SystemExit(1)


def _event(
    generator: Generator, event_type: EventType, place: int, assignments: tuple[str, ...], *, generate: bool
) -> Event:
    if generate:
        event = generator.event(event_type)
    else:
        event = generator.identities.fresh(event_type, event_type.examples[place % len(event_type.examples)])
    return cli.assigned(event_type, event, assignments)


def _told(attempt: PlannedAttempt, *, with_place: bool) -> str:
    rule = _rule(attempt)
    told = f"{attempt.outcome.value} in {attempt.reply.seconds * 1000:.0f} ms: {rule}"
    if not with_place:
        return told
    due = "" if attempt.as_expected else f"; due was {DUE[attempt.expected]}"
    return f"{attempt.shot.note}: {told}{due}"


def _rule(attempt: PlannedAttempt) -> str:
    """Return why: what happened on the socket, where the fault left nothing to judge."""
    if attempt.expected == "nothing" and isinstance(attempt.reply, NoReply):
        return attempt.reply.detail
    return attempt.judgement.rule


def _shown(attempt: PlannedAttempt) -> dict[str, Any]:
    step, event = attempt.step, attempt.shot.events[0]
    return {
        "event_type": event.type,
        "payload": event.payload,
        "outcome": attempt.outcome.value,
        "rule": _rule(attempt),
        "status": attempt.status,
        "seconds": round(attempt.reply.seconds, 6),
        "delivery": step.index + 1,
        "copy": step.copy + 1,
        "attempt": step.attempt + 1,
        "expected": attempt.expected,
        "as_expected": attempt.as_expected,
    }
