"""The command `provider-mock`: play the provider by hand, and look at the contract."""

from __future__ import annotations

import json
import math
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from random import SystemRandom
from typing import IO, Any
from urllib.parse import urlsplit

import click

from provider_mock import commands, providers
from provider_mock.contract import BadCredentials, Credentials, Event, Provider, Request, Stamp
from provider_mock.documents import Unreadable, read_documents
from schemas import EventType, PointerError, SchemasError, jsontext, replace, resolve

INVALID, UNKNOWN = 1, 2
INTERRUPTED = 130


# New in click 8.2: its message is the help text.
_HELP: tuple[type[Exception], ...] = tuple(filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)]))


class Fault(click.ClickException):
    """An error on one line, with the fix; exit status 2."""

    exit_code = 2


def fail(error: Exception) -> Fault:
    """Return the error as one line."""
    return Fault(" ".join(str(error).split()))


def entry() -> None:
    """Run the command line; every error is one line on standard error."""
    try:
        status = main.main(prog_name="provider-mock", standalone_mode=False)
    except click.exceptions.Abort:
        raise SystemExit(130) from None
    except click.ClickException as error:
        hint = f" (see {error.ctx.command_path} --help)" if isinstance(error, click.UsageError) and error.ctx else ""
        message = error.format_message()
        if not isinstance(error, _HELP):
            message = f"error: {' '.join(message.split())}{hint}"
        click.echo(message, err=True)
        raise SystemExit(error.exit_code) from None
    raise SystemExit(status if isinstance(status, int) else 0)


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


def for_people(as_json: bool) -> bool:
    """Return whether output is for people: on a terminal, and JSON was not asked for."""
    return sys.stdout.isatty() and not as_json


def line(value: Any) -> None:
    """Print a value as one line of JSON."""
    click.echo(json.dumps(value, ensure_ascii=False))


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
FILE_ARGUMENT = click.argument("file", type=click.File("rb"), default="-")


def positive(name: str, unit: str, most: float = math.inf) -> Callable[[str], float]:
    """Return what reads a number above 0 from an option; the error names the value and the fix."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (0 < number <= most and math.isfinite(number)):
            limit = "above 0" if most == math.inf else f"above 0 and up to {most:g}"
            raise Fault(f"{name} {text}: give a number of {unit} {limit}, such as {name} 10")
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


def credentials_for(provider: Provider, app_key: str | None, app_secret: str | None) -> Credentials:
    """Return the given credentials, filled up with the provider's defaults; a `Fault` says what is wrong with them."""
    try:
        return provider.credentials(app_key, app_secret)
    except BadCredentials as error:
        raise Fault(f"--app-{error.which}: {error}") from None


def endpoint(text: str) -> str:
    """Return an address that a callback can be posted to."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not text.isprintable() or " " in text:
        raise Fault(f"{text!r} is no address to post to; give it as http://host:port/path")
    return text


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="im-callback-conformance")
def main() -> None:
    """Play an IM service that calls a server: send signed callbacks, look at the contract."""


@main.command()
@click.argument("provider", type=provider_named, required=False)
@JSON_OPTION
def events(provider: Provider | None, as_json: bool) -> None:
    """List every event type: name, code, identity, order, source."""
    for chosen in [provider] if provider else [providers.load(name) for name in providers.names()]:
        for one in chosen.catalogue:
            order = one.order
            shown = {
                "name": one.name,
                "code": one.code,
                "status": one.status,
                "identity": None if one.identity is None else list(one.identity),
                "order": None if order is None else {"within": order.scope, "by": order.by, "rule": order.rule},
                "source": [f"{source['document']}: {source['section']}" for source in one.sources],
            }
            if not for_people(as_json):
                line(shown)
                continue
            click.echo(f"{one.name}  (code {one.code}{', ' + one.status if one.status != 'documented' else ''})")
            click.echo(f"    identity: {' '.join(one.identity) if one.identity else 'none'}")
            click.echo(f"    order:    {f'{order.rule} by {chr(32).join(order.by)}' if order else 'none'}")
            click.echo(f"    source:   {shown['source'][0]}")  # type: ignore[index]


@main.command()
@click.argument("event_type", type=event_type_named)
@click.option("--generate", is_flag=True, help="Make payloads up instead of printing the documented samples.")
@click.option("--count", type=click.IntRange(1), help="How many; the default is every sample, or one made-up payload.")
@SEED_OPTION
def sample(event_type: EventType, generate: bool, count: int | None, seed: int | None) -> None:
    """Print payloads as JSON lines."""
    if generate:
        from provider_mock.traffic.generate import Generator, Undescribed

        try:
            generator = Generator(chosen_seed(seed), _start(seed))
            for _ in range(count or 1):
                line(generator.event(event_type).payload)
        except Undescribed as error:
            raise fail(error) from None
        return
    if not event_type.examples:
        raise Fault(f"{event_type.name} has no documented sample; its status is {event_type.status}")
    for payload in event_type.examples[:count]:
        line(payload)


@main.command()
@click.argument("provider", type=provider_named)
@FILE_ARGUMENT
@JSON_OPTION
def validate(provider: Provider, file: IO[bytes], as_json: bool) -> None:
    """Say which event type a payload is, and what is wrong with it.

    FILE is a request body, or several as JSON lines. Exit 0: valid; 1: not valid; 2: unknown event type.
    """
    try:
        documents, notes = read_documents(file.read())
    except Unreadable as error:
        click.echo(f"error: {error}", err=True)
        raise SystemExit(INVALID) from None
    for note in notes:
        click.echo(note, err=True)
    worst = 0
    for document in documents:
        if _is_probe(provider, document):
            _verdict(as_json, "the console's address probe", [])
            continue
        payloads = provider.payloads(document)
        if not payloads:
            click.echo("an empty array: it carries no event", err=True)
            worst = max(worst, INVALID)
        for payload in payloads:
            event_type = provider.catalogue.identify(payload)
            if event_type is None:
                click.echo(
                    f"unknown event type: {json.dumps(payload, ensure_ascii=False)[:120]}; "
                    f"list the known ones with: provider-mock events {provider.name}",
                    err=True,
                )
                worst = max(worst, UNKNOWN)
                continue
            problems = event_type.problems(payload)
            _verdict(as_json, event_type.name, [f"{one.pointer or 'the payload'}: {one.message}" for one in problems])
            worst = max(worst, INVALID if problems else 0)
    raise SystemExit(worst)


@main.command()
@click.argument("provider", type=provider_named)
@FILE_ARGUMENT
@click.option(
    "--to",
    "url",
    type=endpoint,
    default="http://127.0.0.1/",
    show_default=True,
    help="The address that it is signed for.",
)
@click.option("--at", type=int, help="UTC milliseconds; the default is now.")
@credentials_options
@JSON_OPTION
def sign(
    provider: Provider,
    file: IO[bytes],
    url: str,
    at: int | None,
    app_key: str | None,
    app_secret: str | None,
    as_json: bool,
) -> None:
    """Print URL and headers for a body, byte for byte as it stands in FILE."""
    from provider_mock.delivery.clock import utc_millis

    body = file.read()
    stamp = Stamp(utc_millis() if at is None else at, str(SystemRandom().getrandbits(48)))
    request = provider.sign(body, _command(provider, body), url, credentials_for(provider, app_key, app_secret), stamp)
    if for_people(as_json):
        click.echo(f"{request.method} {request.url}")
        for name, value in request.headers:
            click.echo(f"{name}: {value}")
    else:
        line({"method": request.method, "url": request.url, "headers": dict(request.headers)})


@main.command()
@click.argument("provider", type=provider_named)
@FILE_ARGUMENT
@click.option("--url", default="http://127.0.0.1/", help="The address with the query as received.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header as received; repeatable.")
@credentials_options
def verify(
    provider: Provider,
    file: IO[bytes],
    url: str,
    headers: tuple[str, ...],
    app_key: str | None,
    app_secret: str | None,
) -> None:
    """Check the signature of a received request whose body stands in FILE. Exit 0: it fits; 1: it does not."""
    from provider_mock.delivery.clock import utc_millis

    split = [header.partition(":") for header in headers]
    if any(not colon for _, colon, _ in split):
        raise Fault("give each --header as NAME:VALUE")
    received = Request(url, tuple((name.strip(), value.strip()) for name, _, value in split), file.read())
    problem = provider.verify(received, credentials_for(provider, app_key, app_secret), utc_millis())
    click.echo(problem or "the signature fits")
    if problem:
        raise SystemExit(1)


@main.command()
def demo() -> None:
    """Check a good and a naive receiver, both started here: what `make demo` runs."""
    from provider_mock.demo import run

    raise SystemExit(run())


def _is_utf8(text: str) -> bool:
    """Return whether an argument was UTF-8: other bytes come in as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def chosen_seed(seed: int | None) -> int:
    """Return the seed, or a random one."""
    return SystemRandom().randrange(2**32) if seed is None else seed


def _start(seed: int | None) -> int:
    """Return when made-up events begin: now, or a fixed moment where the seed is to give the same bytes again."""
    from provider_mock.delivery.clock import utc_millis

    return utc_millis() if seed is None else 1_767_225_600_000


def assigned(event_type: EventType, event: Event, assignments: Sequence[str]) -> Event:
    """Return the event with the fields set as typed, if it is still valid."""
    payload: Any = event.payload
    for assignment in assignments:
        pointer, equals, text = assignment.partition("=")
        if not equals:
            raise Fault(f"--set {assignment}: give it as /pointer=value")
        if not _is_utf8(assignment):
            raise Fault(f"--set {assignment!r} is not UTF-8; give it in UTF-8")
        try:
            value: Any = text if isinstance(resolve(payload, pointer, ""), str) else jsontext.parse(text)
            payload = replace(payload, pointer, value)
        except PointerError as error:
            raise fail(error) from None
        except ValueError:
            raise Fault(f"--set {assignment}: {pointer} holds no text; give the value as JSON") from None
    problems = event_type.problems(payload)
    if problems:
        raise Fault(f"this is no valid {event_type.name}: {problems[0].pointer}: {problems[0].message}")
    return Event(event.type, payload)


def _verdict(as_json: bool, name: str, problems: list[str]) -> None:
    if not for_people(as_json):
        line({"event_type": name, "valid": not problems, "problems": problems})
        return
    click.echo(f"{name}: {'not valid' if problems else 'valid'}")
    for problem in problems:
        click.echo(f"  {problem}")


def _is_probe(provider: Provider, document: Any) -> bool:
    probe = provider.probe("", provider.defaults, Stamp(0, ""))
    return probe is not None and document == json.loads(probe.body)


def _command(provider: Provider, body: bytes) -> str:
    """Return the code of the event type that a body holds, for providers that repeat it in the URL."""
    try:
        payload = provider.payloads(jsontext.parse(body.decode("utf-8-sig")))[0]
    except (ValueError, IndexError):
        return ""
    event_type = provider.catalogue.identify(payload)
    return event_type.code if event_type else ""


# Commands with a file of their own use what stands above, and add themselves to the group.
for _found in pkgutil.iter_modules(commands.__path__):
    import_module(f"{commands.__name__}.{_found.name}")
