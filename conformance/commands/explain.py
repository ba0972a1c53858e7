"""`provider-mock explain`: what a check sends, asks and why, and how that is mended."""

from __future__ import annotations

import shutil

import click
from im_callback.provider_mock.commands.shared import printed, typed

WIDEST = 100


@click.command()
@click.argument("check_id", metavar="CHECK-ID")
@typed.JSON_OPTION
def explain(check_id: str, as_json: bool) -> None:
    """Explain a check: where it comes from, what is sent, what passes, why, and the fix.

    CHECK-ID is the id as a run prints it, or that without the provider.
    """
    from im_callback.conformance.check import MissingSource, unusable_checks
    from im_callback.conformance.explain import explained
    from im_callback.conformance.explain.printed import printed as for_people
    from im_callback.conformance.explain.remedies import UnknownRemedy
    from im_callback.provider_mock.providers import UnknownProvider

    try:
        found = explained.explained(check_id)
        if printed.for_people(as_json):
            width = min(shutil.get_terminal_size().columns, WIDEST)
            click.echo(for_people(found, width))
        else:
            printed.line(found.as_json())
    except (explained.NoSuchCheck, UnknownProvider, UnknownRemedy, MissingSource) as error:
        printed.passed_over(unusable_checks())
        raise typed.fail(error) from None
