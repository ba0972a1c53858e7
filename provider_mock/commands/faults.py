"""`provider-mock faults`: the catalogue."""

from __future__ import annotations

from typing import Any

import click
from im_callback.provider_mock.commands.shared import printed, typed
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.delivery.fault import attributes


@click.command()
@typed.JSON_OPTION
def faults(as_json: bool) -> None:
    """List the disturbances that `send --fault` takes: name, what it does, attributes and their defaults."""
    for name, kind in catalogue.load().items():
        sentence = catalogue.sentence(kind)
        if not printed.for_people(as_json):
            described: dict[str, Any] = {
                catalogue.typed(one): {
                    "default": one.default,
                    "meaning": one.metadata.get("meaning", ""),
                    **({"choices": list(one.metadata["choices"])} if one.metadata.get("choices") else {}),
                }
                for one in attributes(kind)
            }
            printed.line({"name": name, "sentence": sentence, "attributes": described})
            continue
        click.echo(f"{name}\n    {sentence}")
        for one in attributes(kind):
            choices = one.metadata.get("choices")
            meaning = one.metadata.get("meaning", "") + (f": {', '.join(choices)}" if choices else "")
            click.echo(f"    {f'{catalogue.typed(one)}={catalogue.shown(one.default)}':<24} {meaning}".rstrip())
    if printed.for_people(as_json):
        share = catalogue.SHARE
        click.echo(f"each of them\n    {f'share={catalogue.shown(share.default)}':<24} {share.metadata['meaning']}")
    printed.passed_over(catalogue.unusable().values())
