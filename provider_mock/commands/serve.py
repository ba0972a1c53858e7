"""`provider-mock serve`: the standalone mock."""

from __future__ import annotations

import ctypes
import gc
import os
import selectors
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from im_callback.provider_mock.commands.shared import printed, typed

if TYPE_CHECKING:
    from im_callback.provider_mock.server.config import Configuration
    from im_callback.provider_mock.server.models import AppView
    from im_callback.provider_mock.server.service import Service
    from im_callback.provider_mock.server.serving import Serving
    from im_callback.provider_mock.server.tokens import Tokens, TokenSettings

DATABASE = "provider-mock.db"
VARIABLE = "PROVIDER_MOCK_TOKEN"
STOPPING = (signal.SIGTERM, signal.SIGINT)
M_ARENA_MAX = -8
"""As in glibc's malloc.h; other C libraries have no such call, or ignore it."""
LOOK_SECONDS = 1.0
"""After which it is looked again whether everything is still there, and what the tokens are."""
ANSWER_SECONDS = 15.0
"""How long requests under way can take when the server stops: longer than the ledger's patience."""


@click.command()
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; a wide one wants a token."
)
@click.option(
    "--port",
    type=typed.whole("--port", 0, 65535),
    default=8600,
    metavar="N",
    show_default=True,
    help="The port; 0: any that is free.",
)
@click.option(
    "--database",
    default=DATABASE,
    show_default=True,
    metavar="URL",
    help="sqlite:///PATH, postgresql://… or the path of a file.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="TOML with a table [apps.NAME] for each app, and [tokens.NAME] for each token.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Requests need the token in this file; else the one in PROVIDER_MOCK_TOKEN, if set.",
)
@click.option(
    "--audit-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Append a JSON line to it for each request that changes something; the log has them too.",
)
@click.option(
    "--keep",
    type=typed.number("--keep", "days", 36_500),
    metavar="DAYS",
    help="Delete acked, declined and dropped deliveries that are older; the default is never.",
)
@click.option(
    "--scale",
    type=typed.number("--scale", "", 1_000_000),
    default=1.0,
    show_default=True,
    metavar="N",
    help="Seconds that pass in one second.",
)
@click.option(
    "--secrets",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where secrets given through the API are kept; the default is a folder beside the SQLite file.",
)
@typed.JSON_OPTION
def serve(
    host: str,
    port: int,
    database: str,
    config: Path | None,
    token_file: Path | None,
    audit_file: Path | None,
    keep: float | None,
    scale: float,
    secrets: Path | None,
    as_json: bool,
) -> None:
    """Run the mock as a server: it accepts events, delivers them by the provider's rules and keeps a record.

    SIGTERM or Ctrl-C stops it once what is under way has landed; a second one at once, and nothing is lost.
    """
    try:
        from im_callback.provider_mock.server import audit, logs
        from im_callback.provider_mock.server.access import is_loopback
        from im_callback.provider_mock.server.app import create_app, front_of
        from im_callback.provider_mock.server.serving import CannotListen, Serving
    except ImportError as error:
        raise typed.Wrong(
            f"this needs {error.name}, which is not installed: pip install 'im-callback-conformance[server]'"
        ) from None
    configured = _configured(config)
    tokens = _tokens(token_file, config, configured.tokens)
    if not tokens and not is_loopback(host):
        raise typed.Wrong(
            f"--host {host} can be reached from other machines, and there is no token; "
            "give --token-file FILE or set PROVIDER_MOCK_TOKEN, or listen on 127.0.0.1"
        )
    logs.configure()
    if audit_file is not None:
        try:
            audit.keep(audit_file)
        except OSError as error:
            raise typed.Wrong(
                f"--audit-file {audit_file}: cannot be written ({error.strerror}); give a file that this user may write"
            ) from None
    _share_memory()
    _raise_limit()
    # From here on a signal is an orderly end, also while the database is still being opened.
    until_asked = catch_signals()
    service = _open(database, configured, secrets, scale, keep)
    with _closed_in_the_end(service):
        try:
            app = create_app(service, tokens)
            serving = Serving(app, host, port, front_of(app))
        except CannotListen as error:
            raise typed.fail(error) from None
        # What is loaded by now, the schemas above all, stays: it need not be looked through for what can be freed.
        gc.freeze()
        _announce(serving, service, as_json=as_json)
        ended = ""
        while not until_asked(LOOK_SECONDS) and not ended:
            tokens.look()
            ended = service.ended() or ("" if serving.thread.is_alive() else "nothing is answered any more")
        serving.drain(LOOK_SECONDS if ended else ANSWER_SECONDS)
    serving.close()
    if ended:
        raise typed.Wrong(f"the server cannot go on: {ended}; what was accepted is on disk, start it again")
    if printed.for_people(as_json):
        click.echo("stopped; what was accepted is on disk")


@contextmanager
def _closed_in_the_end(service: Service) -> Iterator[None]:
    """Close the service afterwards; what the database did not take then is one line, as every error."""
    from im_callback.provider_mock.delivery.ledger import LedgerError

    try:
        with service:
            yield
    except LedgerError as error:
        raise typed.fail(error) from None


def _share_memory() -> None:
    """Let all threads take memory from two pools: glibc gives each its own, which keeps what its largest request took."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def catch_signals() -> Callable[..., bool]:
    """Let SIGTERM and Ctrl-C ask for the end, and return what waits for that; a second signal does not wait.

    It waits so many seconds at most, and returns whether the end was asked for.

    They ask through a pipe: a handler runs in the middle of whatever the main thread does, and
    `Event.set` in the middle of `Event.wait` can wait for itself.
    """
    asked, ask = os.pipe()

    def stop(*_: object) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_DFL)
        os.write(ask, b".")

    for number in STOPPING:
        signal.signal(number, stop)

    def wait(seconds: float | None = None) -> bool:
        with selectors.DefaultSelector() as selector:
            selector.register(asked, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    return wait


def _raise_limit() -> None:
    """Take as many descriptors as this process may: each connection needs one."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _announce(serving: Serving, service: Service, *, as_json: bool) -> None:
    apps = service.apps.list()
    if not printed.for_people(as_json):
        printed.line({"url": serving.url, "api": f"{serving.url}/api/v1", "apps": [_told(one) for one in apps]})
        return
    click.echo(
        f"listening on {serving.url} (open it in a browser); the API is described at {serving.url}/docs; Ctrl-C stops it"
    )
    for app in apps:
        click.echo(f"  {app.name}: {app.settings.endpoint}{'' if app.ready else ' (not ready)'}")
        for feed, address in app.settings.endpoints.items():
            click.echo(f"    {feed}: {address}")


def _told(app: AppView) -> dict[str, Any]:
    settings = app.settings
    return {
        "name": app.name,
        "endpoint": settings.endpoint,
        "endpoints": dict(settings.endpoints),
        "ready": app.ready,
    }


def _tokens(file: Path | None, config: Path | None, configured: Mapping[str, TokenSettings]) -> Tokens:
    """Return the tokens that are wanted, that of the command line first; none of them is part of an error."""
    from im_callback.provider_mock.server.tokens import DEFAULT, BadToken, Tokens, TokenSettings

    settings, where = dict(configured), {name: f"{config}: tokens.{name}" for name in configured}
    if file is not None:
        settings, where[DEFAULT] = {DEFAULT: TokenSettings(f"file:{file}"), **settings}, f"--token-file {file}"
    elif VARIABLE in os.environ:
        settings, where[DEFAULT] = {DEFAULT: TokenSettings(f"env:{VARIABLE}"), **settings}, VARIABLE
    try:
        return Tokens(settings)
    except BadToken as error:
        raise typed.Wrong(f"{where[error.name]}: {error}") from None


def _configured(file: Path | None) -> Configuration:
    from im_callback.provider_mock.server.config import BadConfig, Configuration, read

    if file is None:
        return Configuration()
    try:
        return read(file)
    except BadConfig as error:
        for line in error.lines[:-1]:
            click.echo(f"error: {line}", err=True)
        raise typed.Wrong(error.lines[-1]) from None


def _open(database: str, configured: Configuration, secrets: Path | None, scale: float, keep: float | None) -> Service:
    from im_callback.provider_mock.delivery.ledger import LedgerError
    from im_callback.provider_mock.server.service import Service

    try:
        return Service(
            database,
            configured=configured.apps,
            rules=configured.rules,
            secrets=secrets or _beside(database),
            scale=scale,
            keep_days=keep,
            scenarios=configured.scenarios,
        )
    except LedgerError as error:
        raise typed.fail(error) from None


def _beside(database: str) -> Path | None:
    """Return the folder for secrets beside a SQLite file; None for another database."""
    if "://" in database and not database.startswith("sqlite:///"):
        return None
    file = Path(database.removeprefix("sqlite:///"))
    return file.with_name(f"{file.name}.secrets")
