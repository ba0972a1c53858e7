"""What is typed: options and arguments that several commands have, and what becomes of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from random import SystemRandom
from typing import IO, TYPE_CHECKING, Any

import click
from im_callback.provider_mock import addresses, providers
from im_callback.provider_mock.commands.shared.printed import is_utf8
from im_callback.provider_mock.contract import BadCredentials, Credentials, Event, Feed, Provider, UnknownFeed
from im_callback.provider_mock.fields import BadField, parted, value_for, with_field
from im_callback.schemas import EventType, SchemasError
from im_callback.schemas.nearest import choice, nearest, question

if TYPE_CHECKING:
    from im_callback.provider_mock.delivery.fault import Fault
    from im_callback.provider_mock.recording.exchange import Exchange


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
    """Return the event type; the part before the dot is its provider, and the error asks which was meant."""
    prefix, dot, _ = name.partition(".")
    try:
        known = providers.load(prefix).catalogue
    except providers.UnusableProvider as error:
        raise fail(error) from None
    except providers.UnknownProvider as error:
        every = [one.name for provider in providers.names() for one in providers.load(provider).catalogue]
        if dot and not nearest(name, every):
            raise fail(error) from None
        fix = choice(name, every, "provider-mock events lists them")
        raise Wrong(f"no event type is called {name!r}; {fix}") from None
    if not dot:
        raise Wrong(
            f"{name!r} is a provider; give one of its event types, such as {known.names[0]}: "
            f"provider-mock events {name} lists them"
        )
    try:
        return known[name]
    except SchemasError as error:
        raise fail(error) from None


_BODY = "file with a request body"


class Body(click.File):
    """A file that holds a request body, or what else is named; `-` is standard input."""

    def __init__(self, what: str = _BODY) -> None:
        super().__init__("rb")
        self._what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file; the error says where a body can come from."""
        if value == "-" and sys.stdin is None:
            raise Wrong("standard input is closed; name a file, or pipe the body in")
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            raise _unreadable(value, error.__context__ or error, self._what) from None


def read_body(file: IO[bytes]) -> bytes:
    """Return all that is in a file; a `Wrong` says why it cannot be read."""
    try:
        return file.read()
    except OSError as error:
        raise _unreadable(file.name, error, _BODY) from None


def recorded(file: IO[bytes]) -> list[Exchange]:
    """Return the exchanges of a recording, or of a HAR file; a `Wrong` says why there are none.

    What is passed over is said on standard error.
    """
    from im_callback.provider_mock.recording.files import Unreadable, read

    try:
        return list(read(file, lambda note: click.echo(note, err=True)))
    except Unreadable as error:
        raise Wrong(f"the recording cannot be used: {error}") from None
    except OSError as error:
        raise _unreadable("the recording", error, "recording") from None


def _unreadable(name: str, error: BaseException, what: str) -> Wrong:
    why = getattr(error, "strerror", None) or error
    return Wrong(f"{name} cannot be read ({why}); give a {what}, or pipe one in")


def number(name: str, unit: str, most: float = math.inf, *, zero: bool = False) -> Callable[[str], float]:
    """Return what reads a number above 0, or from 0 on, from an option; the error names the value and the fix."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not ((0 < value <= most or (zero and value == 0)) and math.isfinite(value)):
            limits = ("from 0" if zero else "above 0") + ("" if most == math.inf else f" up to {most:.0f}")
            raise Wrong(
                f"{name} {text}: give a number{f' of {unit}' if unit else ''} {limits}, such as {name} {min(10, most):g}"
            )
        return value

    return read


def whole(name: str, least: int | None = None, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number within limits; the error names the value and the fix."""

    def read(text: str) -> int:
        with suppress(ValueError):
            value = int(text)
            if (least is None or least <= value) and (most is None or value <= most):
                return value
        limits = ("" if least is None else f" from {least}") + ("" if most is None else f" up to {most}")
        raise Wrong(f"{name} {text}: give a whole number{limits}")

    return read


JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="JSON lines even on a terminal.")
SEED_OPTION = click.option("--seed", type=whole("--seed"), metavar="N", help="The same seed gives the same events.")
PROVIDER_OPTION = click.option(
    "--provider",
    type=provider_named,
    default="commsease",
    show_default=True,
    metavar="PROVIDER",
    help="Which IM service to play.",
)
FILE_ARGUMENT = click.argument("file", type=Body(), default="-")


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
        raise Wrong(f"--set makes this no valid {event_type.name}: {problems[0].pointer} {problems[0].message}")
    return Event(event.type, payload)


def doubted(event_type: EventType, assignments: Sequence[str]) -> Iterator[str]:
    """Yield, for each field set that the documents do not have, which one was probably meant; such fields can be sent."""
    from im_callback.provider_mock.traffic.shape import Shape, leaves, schemas_at

    known = dict.fromkeys(pointer for sample in event_type.examples for pointer, _ in leaves(sample))
    known |= dict.fromkeys(f"/{name}" for name in Shape.of_event(event_type).widest.names)
    for assignment in assignments:
        pointer, _ = parted(assignment)
        if not schemas_at(event_type.schema, pointer) and (asked := question(pointer, known)):
            yield f"note: {event_type.name} has no documented field {pointer}; {asked}"


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
