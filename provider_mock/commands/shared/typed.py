"""What is typed: options and arguments that several commands have, and what becomes of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import IO, TYPE_CHECKING, Any

import click
from im_callback.provider_mock import addresses, providers
from im_callback.provider_mock.commands.shared.printed import is_utf8
from im_callback.provider_mock.contract import BadCredentials, Credentials, Event, Feed, Provider, UnknownFeed
from im_callback.provider_mock.fields import BadField, parted, value_for, with_field
from im_callback.schemas import EventType, SchemasError

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.fault import Fault


class Wrong(click.ClickException):
    """What was typed cannot be used: an error on one line, with the fix; exit status 2."""

    exit_code = 2


def fail(error: Exception) -> Wrong:
    """Return the error as one line."""
    return Wrong(" ".join(str(error).split()))


def provider_named(name: str) -> Provider:
    """Return the provider; the error names those there are."""
    try:
        return providers.load(name)
    except providers.UnknownProvider as error:
        raise fail(error) from None


def event_type_named(name: str) -> EventType:
    """Return the event type; the part before the dot is its provider, and the error names those there are."""
    try:
        return provider_named(name.partition(".")[0]).catalogue[name]
    except SchemasError as error:
        raise fail(error) from None


class Body(click.File):
    """A file that holds a request body; `-` is standard input."""

    def __init__(self) -> None:
        super().__init__("rb")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file; the error says where a body can come from."""
        if value == "-" and sys.stdin is None:
            self.fail("standard input is closed; name a file, or pipe the body in", param, ctx)
        return super().convert(value, param, ctx)


def read_body(file: IO[bytes]) -> bytes:
    """Return all that is in a file; a `Wrong` says why it cannot be read."""
    try:
        return file.read()
    except OSError as error:
        raise Wrong(
            f"{file.name} cannot be read ({error.strerror or error}); give a file with a request body"
        ) from None


JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON lines even on a terminal.")
SEED_OPTION = click.option("--seed", type=int, help="The same seed gives the same events.")
PROVIDER_OPTION = click.option(
    "--provider",
    type=provider_named,
    default="commsease",
    show_default=True,
    metavar="PROVIDER",
    help="Which IM service to play.",
)
FILE_ARGUMENT = click.argument("file", type=Body(), default="-")


def positive(name: str, unit: str, most: float = math.inf) -> Callable[[str], float]:
    """Return what reads a number above 0 from an option; the error names the value and the fix."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (0 < number <= most and math.isfinite(number)):
            limit = "above 0" if most == math.inf else f"above 0 and up to {most:g}"
            raise Wrong(f"{name} {text}: give a number of {unit} {limit}, such as {name} 10")
        return number

    return read


def credentials_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --app-key and --app-secret."""
    command = click.option("--app-key", envvar="IM_APP_KEY", help="Else IM_APP_KEY, else the provider's test key.")(
        command
    )
    return click.option(
        "--app-secret", envvar="IM_APP_SECRET", help="Else IM_APP_SECRET, else the test secret; none: no token is set."
    )(command)


FEED_OPTION = click.option(
    "--feed", "feed_name", metavar="FEED", help="One of the provider's feeds: one of its callback services."
)


def feeds_named(provider: Provider, name: str | None) -> Sequence[Feed]:
    """Return the feed of this name alone, or all of the provider's."""
    if name is None:
        return provider.feeds
    try:
        return [provider.feed(name.removeprefix(f"{provider.name}."))]
    except UnknownFeed as error:
        raise Wrong(str(error)) from None


def credentials_for(provider: Provider, app_key: str | None, app_secret: str | None) -> Credentials:
    """Return the given credentials, filled up with the provider's defaults; a `Wrong` says what is wrong with them."""
    try:
        return provider.credentials(app_key, app_secret)
    except BadCredentials as error:
        raise Wrong(f"--app-{error.which}: {error}") from None


def endpoint(text: str) -> str:
    """Return an address that a callback can be posted to, as it is written on the wire."""
    try:
        return addresses.sendable(text, login=True)
    except addresses.BadAddress as error:
        raise fail(error) from None


def fault_described(text: str) -> Fault:
    """Return the fault that was typed; the error names what is wrong with it and the fix."""
    from im_callback.provider_mock.delivery import faults

    try:
        return faults.parse(text)
    except (LookupError, ValueError) as error:
        raise fail(error) from None


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


def chosen_seed(seed: int | None) -> int:
    """Return the seed, or a random one."""
    return SystemRandom().randrange(2**32) if seed is None else seed


def assigned(event_type: EventType, event: Event, assignments: Sequence[str]) -> Event:
    """Return the event with the fields set as typed, if it is still valid."""
    payload: Any = event.payload
    for assignment in assignments:
        if not is_utf8(assignment):
            raise Wrong(f"--set {assignment!r} is not UTF-8; give it in UTF-8")
        try:
            pointer, text = parted(assignment)
            payload = with_field(payload, pointer, value_for(payload, pointer, text))
        except BadField as error:
            raise fail(ValueError(f"--set {assignment}: {error}")) from None
    problems = event_type.problems(payload)
    if problems:
        raise Wrong(f"this is no valid {event_type.name}: {problems[0].pointer}: {problems[0].message}")
    return Event(event.type, payload)


def feed_of_body(provider: Provider, named: str | None, body: bytes) -> tuple[Feed, str]:
    """Return the feed that a body belongs to, and the provider's code of its event type.

    It is the one that was named, or else that of the event type that the body holds, or else the first.
    """
    feeds = feeds_named(provider, named)
    for feed in feeds:
        with suppress(ValueError, IndexError):
            found = provider.identify(feed.payloads(feed.read(body))[0], feeds)
            if found is not None:
                return provider.feed_of(found.name), found.code
    return feeds[0], ""
