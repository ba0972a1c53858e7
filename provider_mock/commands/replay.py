"""`provider-mock replay`: send a recording again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import IO, TYPE_CHECKING

import click
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import attempts, printed, typed
from im_callback.provider_mock.contract import Provider

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.fault import Fault
    from im_callback.provider_mock.recording.exchange import Exchange

MOST = "max"
"""The speed without pauses."""
FASTEST = 1_000_000


def speed_given(text: str) -> float | None:
    """Return how many times as fast; None: without pauses."""
    return None if text == MOST else typed.number("--speed", "times, or max,", FASTEST)(text)


@click.command()
@click.argument("file", type=typed.Body("recording"))
@click.option("--to", "url", required=True, type=typed.endpoint, metavar="URL", help="Where to post it.")
@click.option(
    "--provider",
    type=typed.provider_named,
    metavar="PROVIDER",
    help="Whose requests are sent, where FILE holds those of several.",
)
@typed.credentials_options
@click.option(
    "--speed",
    type=speed_given,
    default="1",
    show_default=True,
    metavar="N|max",
    help="How many times as fast as it was; max: without the pauses.",
)
@click.option("--fresh", is_flag=True, help="New accounts, rooms and ids, which no other replay has.")
@typed.fault_option
@typed.SEED_OPTION
@typed.JSON_OPTION
def replay(
    file: IO[bytes],
    url: str,
    provider: Provider | None,
    app_key: str | None,
    app_secret: str | None,
    speed: float | None,
    fresh: bool,
    disturbances: tuple[Fault, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Send again what FILE holds, signed afresh: in its order, with its pauses; print each attempt.

    FILE is what provider-mock record has written, or a HAR file; - is standard input. Exit 0 only if all were
    acknowledged; with faults, if the receiver did what it owes, as for send.
    """
    from im_callback.provider_mock.delivery import faults
    from im_callback.provider_mock.delivery.changes import CannotChange
    from im_callback.provider_mock.delivery.courier import Courier
    from im_callback.provider_mock.delivery.fault import NothingToDisturb
    from im_callback.provider_mock.delivery.make import Maker
    from im_callback.provider_mock.delivery.perform import fulfilled, perform
    from im_callback.provider_mock.delivery.sockets.client import Client
    from im_callback.provider_mock.recording.replaying import deliveries, parts
    from im_callback.provider_mock.recording.rewriting import Rewriting
    from im_callback.provider_mock.recording.stand_ins import KEY_BYTES

    exchanges = typed.recorded(file)
    provider = provider or _only_provider(exchanges)
    credentials = typed.credentials_for(provider, app_key, app_secret)
    number = typed.chosen_seed(seed)
    renewing = Rewriting(Random(f"fresh {number}").randbytes(KEY_BYTES), scrubs=False) if fresh else None
    found, left = deliveries(exchanges, provider, renewing)
    for reason, count in left.items():
        click.echo(f"note: {printed.counted(count, 'request is', 'requests are')} not sent: {reason}", err=True)
    if not found:
        raise typed.Wrong(
            f"there is no request of {provider.name} in it that can be sent again; record some, or name another --provider"
        )
    nonces, dice, begin, all_fulfilled = Random(f"nonces {number}"), Random(number), 0, True
    deadline = max(feed.deadline for feed in provider.feeds)
    for part in parts(found, speed):
        maker = Maker(
            provider,
            credentials,
            url,
            [one.events for one in part.deliveries],
            lambda: str(nonces.getrandbits(48)),
            bodies=[one.body for one in part.deliveries],
        )
        try:
            planned = faults.apply(disturbances, part.plan, dice, begin)
            if not begin:
                maker.check(planned)
        except (NothingToDisturb, CannotChange) as error:
            raise typed.fail(error) from None
        made = []
        for attempt in perform(planned, maker, Courier(Client(deadline))):
            made.append(attempt)
            place = f"{begin + attempt.step.index + 1}, {attempt.shot.events[0].type}"
            if printed.for_people(as_json):
                told = attempts.told(attempt, with_place=bool(disturbances))
                click.echo(f"{place}: {told}")
            else:
                shown = attempts.shown(attempt)
                printed.line({**shown, "delivery": begin + shown["delivery"]})
        all_fulfilled = fulfilled(made) and all_fulfilled
        begin += len(part.deliveries)
    if not all_fulfilled:
        raise SystemExit(1)


def _only_provider(exchanges: Sequence[Exchange]) -> Provider:
    """Return the provider whose requests these are; a `Wrong` says that there are several, or none."""
    from im_callback.provider_mock.recording.replaying import recognise

    known = [providers.load(name) for name in providers.names()]
    found = Counter(one.feed.provider.name for exchange in exchanges if (one := recognise(exchange, known)) is not None)
    if len(found) > 1:
        told = ", ".join(f"{count} of {name}" for name, count in found.items())
        raise typed.Wrong(f"there are requests of several providers ({told}); choose one with --provider")
    if not found:
        raise typed.Wrong("there is no request of a provider that is known; name it with --provider")
    return providers.load(next(iter(found)))
