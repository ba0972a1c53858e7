"""`provider-mock sample`: payloads, documented or made up."""

from __future__ import annotations

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.schemas import EventType
from im_callback.schemas.nearest import choice


@click.command()
@click.argument("event_type", metavar="EVENT-TYPE", type=typed.event_type_named)
@click.option("--generate", is_flag=True, help="Make payloads up instead of printing the documented samples.")
@click.option("--variant", help="Make up payloads of this variant, such as TEAM/TEXT.")
@click.option(
    "--count",
    type=typed.whole("--count", 1),
    metavar="N",
    help="How many; the default is every sample, or one made-up payload.",
)
@typed.SEED_OPTION
@typed.JSON_OPTION
def sample(
    event_type: EventType, generate: bool, variant: str | None, count: int | None, seed: int | None, as_json: bool
) -> None:
    """Print payloads as JSON lines, also on a terminal."""
    if variant is not None and variant not in event_type.variants:
        listed = f"it has {printed.shortly(event_type.variants)} (provider-mock events --json lists them)"
        fix = (
            choice(variant, event_type.variants, listed) if event_type.variants else "it has none: leave --variant out"
        )
        raise typed.Wrong(f"{event_type.name} has no variant {variant!r}; {fix}")
    if generate or variant is not None:
        from im_callback.provider_mock.traffic.generate import Generator, Undescribed
        from im_callback.provider_mock.traffic.variants import variant_payload

        try:
            generator = Generator(typed.chosen_seed(seed), _start(seed))
            for _ in range(count or 1):
                made = (
                    variant_payload(generator, event_type, variant) if variant else generator.event(event_type).payload
                )
                printed.line(made)
        except Undescribed as error:
            raise typed.fail(error) from None
        return
    if not event_type.examples:
        raise _without_sample(event_type)
    for payload in event_type.examples[:count]:
        printed.line(payload)


def _without_sample(event_type: EventType) -> typed.Wrong:
    from im_callback.provider_mock.traffic.generate import Undescribed

    if event_type.status == "undocumented":
        return typed.fail(Undescribed(event_type.name))
    return typed.Wrong(f"{event_type.name} has no documented sample; make a payload up with --generate")


def _start(seed: int | None) -> int:
    """Return when made-up events begin: now, or a fixed moment where the seed is to give the same bytes again."""
    from im_callback.provider_mock.delivery.clock import utc_millis

    return utc_millis() if seed is None else 1_767_225_600_000
