"""`provider-mock events`: the catalogue of event types."""

from __future__ import annotations

import click
from im_callback.provider_mock import providers
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.contract import Provider


@click.command()
@click.argument("provider", type=typed.provider_named, required=False)
@click.option("--wires", is_flag=True, help="List the ways in which real senders write requests, by name, instead.")
@typed.JSON_OPTION
def events(provider: Provider | None, wires: bool, as_json: bool) -> None:
    """List every event type: name, feed, code, identity, variants, order, source."""
    for chosen in [provider] if provider else [providers.load(name) for name in providers.names()]:
        if wires:
            _list_wires(chosen, as_json)
            continue
        for one in chosen.catalogue:
            order = one.order
            shown = {
                "name": one.name,
                "feed": chosen.feed_of(one.name).name,
                "code": one.code,
                "status": one.status,
                "identity": None if one.identity is None else list(one.identity),
                "variants": list(one.variants),
                "order": None if order is None else {"within": order.scope, "by": order.by, "rule": order.rule},
                "source": [f"{source['document']}: {source['section']}" for source in one.sources],
            }
            if not printed.for_people(as_json):
                printed.line(shown)
                continue
            click.echo(
                f"{one.name}  ({shown['feed']}, code {one.code}{', ' + one.status if one.status != 'documented' else ''})"
            )
            click.echo(f"    identity: {' '.join(one.identity) if one.identity else 'none'}")
            if one.variants:
                click.echo(f"    variants: {printed.shortly(one.variants)}, by {chr(32).join(one.variant_pointers)}")
            click.echo(f"    order:    {f'{order.rule} by {chr(32).join(order.by)}' if order else 'none'}")
            click.echo(f"    source:   {shown['source'][0]}")  # type: ignore[index]
    if not provider:
        printed.passed_over(providers.unusable().values())


def _list_wires(provider: Provider, as_json: bool) -> None:
    for name, one in provider.wires.items():
        if printed.for_people(as_json):
            click.echo(f"{provider.name}  {name}: {one.description}")
        else:
            printed.line({"provider": provider.name, "name": name, "description": one.description})
