"""`provider-mock send`: deliver events now, disturbed if asked for."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import click
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import attempts, printed, typed
from im_callback.provider_mock.contract import Event

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.fault import Fault
    from im_callback.provider_mock.traffic.generate import Generator
    from im_callback.schemas import EventType


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
    made = []
    for attempt in perform(planned, maker, Courier(Client(provider.feed_of(event_type.name).deadline))):
        made.append(attempt)
        if printed.for_people(as_json):
            click.echo(attempts.told(attempt, with_place=bool(disturbances)))
        else:
            printed.line(attempts.shown(attempt))
    if not fulfilled(made):
        raise SystemExit(1)


def _event(
    generator: Generator, event_type: EventType, place: int, assignments: tuple[str, ...], *, generate: bool
) -> Event:
    if generate:
        event = generator.event(event_type)
    else:
        event = generator.identities.fresh(event_type, event_type.examples[place % len(event_type.examples)])
    return typed.assigned(event_type, event, assignments)
