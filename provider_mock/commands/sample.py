"""`provider-mock sample`: payloads, documented or made up."""

from __future__ import annotations

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.schemas import EventType


@click.command()
@click.argument("event_type", type=typed.event_type_named)
@click.option("--generate", is_flag=True, help="Make payloads up instead of printing the documented samples.")
@click.option("--variant", help="Make up payloads of this variant, such as TEAM/TEXT.")
@click.option("--count", type=click.IntRange(1), help="How many; the default is every sample, or one made-up payload.")
@typed.SEED_OPTION
def sample(event_type: EventType, generate: bool, variant: str | None, count: int | None, seed: int | None) -> None:
    """Print payloads as JSON lines."""
    if variant is not None and variant not in event_type.variants:
        known = f"it has {printed.shortly(event_type.variants)}" if event_type.variants else "it has none"
        raise typed.Wrong(f"{event_type.name} has no variant {variant!r}; {known} (see provider-mock events --json)")
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
        raise typed.Wrong(f"{event_type.name} has no documented sample; its status is {event_type.status}")
    for payload in event_type.examples[:count]:
        printed.line(payload)


def _start(seed: int | None) -> int:
    """Return when made-up events begin: now, or a fixed moment where the seed is to give the same bytes again."""
    from im_callback.provider_mock.delivery.clock import utc_millis

    return utc_millis() if seed is None else 1_767_225_600_000
