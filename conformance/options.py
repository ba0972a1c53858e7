"""Reads the options of a run: the command line wins, then the environment, then the ini file."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from im_callback.conformance import option_values, releases
from im_callback.conformance.around.command import filled, free_port, port_of, with_port
from im_callback.conformance.check import EXPLORED, Check, MissingSource, all_checks, unusable_checks
from im_callback.conformance.effects import BadEffects, ReadEffects, SourceOptions, compiled, open_effects
from im_callback.conformance.explore.finding import NoFinding, read
from im_callback.conformance.explore.strategies import NoHypothesis, must_be_there
from im_callback.conformance.report.masking import Masking, secrets_in
from im_callback.conformance.resultfile import ResultFile, Unwritable
from im_callback.conformance.settings import Fixed, Settings
from im_callback.conformance.text_files import text_of
from im_callback.conformance.verdict import Level
from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import BadAddress, sendable
from im_callback.provider_mock.contract import DOCUMENTED, BadCredentials, Credentials, Feed, Provider, UnknownFeed
from im_callback.provider_mock.headers import TOKEN, refused

T = TypeVar("T")
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})
FARTHEST = 1_000_000
"""Deliveries after which one is repeated, at most."""


def option(config: pytest.Config, name: str) -> str | None:
    """Return an option's value, or None where it is given nowhere; an empty variable gives nothing."""
    given = config.getoption(f"--receiver-{name}")
    if given is not None:
        return str(given) or None
    plain = name.replace("-", "_")
    # CI systems set variables to nothing where a secret or an input is not there.
    return os.environ.get(f"RECEIVER_{plain.upper()}") or str(config.getini(f"receiver_{plain}") or "") or None


def options(config: pytest.Config, name: str) -> list[str]:
    """Return a repeatable option's values; in the environment they stand on lines of their own."""
    given = config.getoption(f"--receiver-{name}")
    if given:
        return [str(value) for value in given]
    if value := os.environ.get(f"RECEIVER_{name.upper()}"):
        return [line.strip() for line in value.splitlines() if line.strip()]
    return list(config.getini(f"receiver_{name}"))


def flag(config: pytest.Config, name: str) -> bool:
    """Return whether a switch is on."""
    value = (option(config, name) or "").lower()
    if value not in TRUE | FALSE:
        raise pytest.UsageError(f"--receiver-{name}: {value!r} is neither true nor false")
    return value in TRUE


def provider(config: pytest.Config) -> Provider:
    """Return the provider that was chosen; UsageError if there is none of that name."""
    name = option(config, "provider")
    try:
        return providers.load(name or "commsease")
    except providers.UnknownProvider as error:
        raise pytest.UsageError(f"--receiver-provider={name}: {error}") from None


def arriving(config: pytest.Config, provider: Provider) -> tuple[Feed, ...]:
    """Return the feeds that arrive at the address; UsageError for one that the provider does not have."""
    value = option(config, "feed")
    if value is None:
        return provider.usual_feeds
    names = [name.strip().removeprefix(f"{provider.name}.") for name in value.split(",") if name.strip()]
    try:
        # In the provider's order, each once.
        named = {provider.feed(name) for name in names}
    except UnknownFeed as error:
        raise pytest.UsageError(f"--receiver-feed={value}: {error}") from None
    if not named:
        raise pytest.UsageError(
            f"--receiver-feed={value}: name one or more of: {', '.join(provider.feed_names)}, separated by commas"
        )
    return tuple(feed for feed in provider.feeds if feed in named)


def _named(provider: Provider, feeds: Sequence[Feed]) -> str:
    if len(provider.feeds) == 1:
        return provider.name
    return f"{provider.name} ({', '.join(feed.name for feed in feeds)})"


def settings(config: pytest.Config) -> Settings:
    """Return everything that was asked for; UsageError names the option that cannot be used."""
    chosen = provider(config)
    folder = config.invocation_params.dir
    return Settings(
        url=_own_port(config, _url(str(config.getoption("--receiver-url")))),
        provider=chosen,
        credentials=_credentials(config, chosen),
        seed=_number(config, "seed", SystemRandom().randrange(2**32)),
        settle=_seconds(config),
        level=_level(config),
        handles=_told(
            config, "handles", lambda text: option_values.handles(text, chosen, arriving(config, chosen)) or None
        ),
        accounts=_told(config, "accounts", lambda text: option_values.accounts(text, folder)),
        fixed=_fixed(config, chosen),
        rate=_told(config, "rate", option_values.rate),
        dedupe_distance=_distance(config),
        wire=_told(config, "wire", lambda text: option_values.wire(text, chosen, arriving(config, chosen)))
        or DOCUMENTED,
        feeds=arriving(config, chosen),
        unordered=flag(config, "effects-unordered"),
        **_exploring(config, chosen),
        headers=tuple(_header(text, chosen) for text in options(config, "header")),
        ca_file=_file(config, "ca"),
        allow_incomplete=flag(config, "allow-incomplete"),
        baseline=_baseline(config),
        pinned=_pinned(config),
        command=option(config, "command"),
        downstream=_told(config, "downstream", option_values.place),
        downstream_port=_told(config, "downstream-port", option_values.port) or 0,
        folder=folder,
    )


def _own_port(config: pytest.Config, url: str) -> str:
    """Return the address with a free port where it has port 0: there the command is to listen."""
    if port_of(url) != 0:
        return url
    if option(config, "command") is None:
        raise pytest.UsageError(
            "--receiver-url: port 0 is for a receiver that --receiver-command starts; name the port where it listens"
        )
    return with_port(url, free_port(urlsplit(url).hostname or ""))


def effects(config: pytest.Config, settings: Settings) -> ReadEffects | None:
    """Return the function that reads the effects, or None where no source is given."""
    spec, mapping, query = (option(config, name) for name in ("effects", "effects-map", "effects-query"))
    folder, types = config.invocation_params.dir, [one.name for one in settings.provider.catalogue]
    given = SourceOptions(
        settings.headers,
        settings.ca_file,
        folder=folder,
        query=query,
        run=settings.tag,
        recurring=settings.meeting,
    )
    if spec and settings.command is not None:
        spec = filled(spec, {"port": str(port_of(settings.url))})
    if query and not spec:
        raise pytest.UsageError(
            "--receiver-effects-query needs a database to ask: give its URL with --receiver-effects"
        )
    try:
        # Compiled here also where a fixture gives the effects, so that a bad expression is a bad option.
        compiled(mapping, folder, types)
        return open_effects(spec, given, mapping, types) if spec else None
    except BadEffects as error:
        raise pytest.UsageError(str(error)) from None


def chosen_checks(config: pytest.Config, provider: Provider, feeds: Sequence[Feed]) -> list[Check]:
    """Return the checks that hold for the provider and were asked for; UsageError if there are none."""
    for broken in unusable_checks():
        raise pytest.UsageError(str(broken))
    holding = [one for one in all_checks(explored=_explores(config)) if one.among(feeds)]
    ids = Counter(one.id(provider) for one in holding)
    if doubled := [name for name, count in ids.items() if count > 1]:
        raise pytest.UsageError(
            f"two checks are called {doubled[0]}; rename one, or uninstall the package that adds it"
        )
    try:
        for one in holding:
            for feed in one.among(feeds):
                one.source(feed)
    except MissingSource as error:
        raise pytest.UsageError(str(error)) from None
    if option(config, "replay") is not None:
        return [one for one in holding if one.preflight or one.function.__module__ == EXPLORED]
    globs = options(config, "check")
    for glob in globs:
        if not any(fnmatchcase(one.id(provider), glob) for one in holding):
            raise pytest.UsageError(
                f"--receiver-check={glob} matches no check of {_named(provider, feeds)}; "
                f"list them with: pytest --receiver-list --receiver-provider={provider.name}"
            )
    return [one for one in holding if not globs or any(fnmatchcase(one.id(provider), glob) for glob in globs)]


def json_file(config: pytest.Config) -> ResultFile | None:
    """Return where the JSON result goes, tried already; UsageError if it cannot be written."""
    name = option(config, "json")
    if name is None:
        return None
    try:
        return ResultFile(config.invocation_params.dir / name)
    except Unwritable as error:
        raise pytest.UsageError(f"--receiver-json={name}: {error}") from None


def list_checks(config: pytest.Config) -> None:
    """Print id, level, title and source of every check, of the provider that was named or of all."""
    named = option(config, "provider")
    chosen = [provider(config)] if named else [providers.load(name) for name in providers.names()]
    globs = options(config, "check") or ["*"]
    for one in chosen:
        for check in all_checks(explored=_explores(config)):
            feeds = arriving(config, one) if named and option(config, "feed") else one.feeds
            level = check.level_among(feeds)
            if level is not None and any(fnmatchcase(check.id(one), glob) for glob in globs):
                sys.stdout.write(
                    f"{check.id(one)}\t{level.value}\t{check.title}\t{check.source(check.among(feeds)[0])}\n"
                )


def _explores(config: pytest.Config) -> bool:
    return option(config, "explore") is not None or option(config, "replay") is not None


def _exploring(config: pytest.Config, provider: Provider) -> dict[str, Any]:
    """Return what of the settings is about sequences of deliveries."""
    seconds, replayed = option(config, "explore"), _file(config, "replay")
    result = option(config, "json")
    beside = (config.invocation_params.dir / result).parent if result else config.invocation_params.dir
    found: dict[str, Any] = {"findings": beside if beside.is_dir() else config.invocation_params.dir}
    if replayed is not None:
        try:
            recorded = read(replayed)
        except NoFinding as error:
            raise pytest.UsageError(f"--receiver-replay={replayed.name}: {error}") from None
        if seconds is not None:
            raise pytest.UsageError(
                "--receiver-replay plays one sequence and nothing else; leave out --receiver-explore"
            )
        feeds = [feed.name for feed in arriving(config, provider)]
        if recorded.provider != provider.name:
            raise pytest.UsageError(
                f"--receiver-replay={replayed.name}: it is a sequence of {recorded.provider}; "
                f"give --receiver-provider={recorded.provider}"
            )
        if recorded.feed not in feeds:
            raise pytest.UsageError(
                f"--receiver-replay={replayed.name}: it is a sequence of the feed {recorded.feed}, not of "
                f"{', '.join(feeds)}; give --receiver-feed={recorded.feed}"
            )
        return {**found, "replay": recorded}
    if seconds is None:
        return found
    try:
        must_be_there()
        return {**found, "explore": _told(config, "explore", option_values.explore)}
    except NoHypothesis as error:
        raise pytest.UsageError(f"--receiver-explore={seconds}: {error}") from None


def _url(url: str) -> str:
    try:
        return sendable(url, login=True, any_port=True)
    except BadAddress:
        # Without its scheme, say, an address can hold a password all the same.
        words, places = secrets_in(url if "://" in url else f"http://{url}")
        shown = Masking.hiding([*words, *(_userinfo(url))], places)(url)
        raise pytest.UsageError(
            f"--receiver-url={shown}: give the whole address, as in http://127.0.0.1:8080/callbacks"
        ) from None


def _userinfo(url: str) -> list[str]:
    """Return the password of an address that may have no scheme."""
    before = url.rpartition("@")[0].rpartition("/")[2]
    return [before.partition(":")[2]] if ":" in before else []


def _credentials(config: pytest.Config, provider: Provider) -> Credentials:
    try:
        return provider.credentials(option(config, "app-key"), option(config, "app-secret"))
    except BadCredentials as error:
        raise pytest.UsageError(f"--receiver-app-{error.which}: {error}") from None


def _number(config: pytest.Config, name: str, default: int) -> int:
    value = option(config, name)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise pytest.UsageError(f"--receiver-{name}={value}: give a whole number") from None


def _seconds(config: pytest.Config) -> float:
    value = option(config, "settle")
    try:
        seconds = Settings.settle if value is None else float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 3600:
        raise pytest.UsageError(f"--receiver-settle={value}: give seconds, from 0 to an hour")
    return seconds


def _distance(config: pytest.Config) -> int:
    number = _number(config, "dedupe-distance", Settings.dedupe_distance)
    if not 0 <= number <= FARTHEST:
        raise pytest.UsageError(f"--receiver-dedupe-distance={number}: give a number of deliveries, up to {FARTHEST}")
    return number


def _level(config: pytest.Config) -> Level:
    value = option(config, "level")
    try:
        return Level(value or "should")
    except ValueError:
        raise pytest.UsageError(f"--receiver-level={value}: give must, should or may") from None


def _told(config: pytest.Config, name: str, read: Callable[[str], T]) -> T | None:
    """Return what the value of an option stands for, or None where it is not given."""
    value = option(config, name)
    if value is None:
        return None
    try:
        return read(value)
    except option_values.BadValue as error:
        raise pytest.UsageError(f"--receiver-{name}={value}: {error}") from None


def _fixed(config: pytest.Config, provider: Provider) -> tuple[Fixed, ...]:
    try:
        return option_values.fixed(options(config, "set"), provider)
    except option_values.BadValue as error:
        raise pytest.UsageError(str(error)) from None


def _header(text: str, provider: Provider) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()):
        raise pytest.UsageError("--receiver-header: give it as NAME:VALUE")
    if (wrong := refused(name.strip(), provider)) is not None:
        raise pytest.UsageError(f"--receiver-header: {name.strip()} {wrong[0]}; {wrong[1]}")
    if any(c in text for c in "\r\n\0"):
        raise pytest.UsageError(f"--receiver-header: the value of {name.strip()} holds a line break")
    return name.strip(), value.strip()


def _file(config: pytest.Config, name: str) -> Path | None:
    value = option(config, name)
    if value is None:
        return None
    path = config.invocation_params.dir / value
    if not path.is_file():
        raise pytest.UsageError(f"--receiver-{name}={value}: there is no such file")
    return path


def _baseline(config: pytest.Config) -> dict[str, str]:
    path = _file(config, "baseline")
    if path is None:
        return {}
    try:
        known = json.loads(text_of(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--receiver-baseline={path.name}: not JSON ({error})") from None
    if not isinstance(known, dict) or not _reasons(list(known.values())):
        raise pytest.UsageError(
            f"--receiver-baseline={path.name}: give an object from check id to a reason, never empty"
        )
    for name in known:
        if ".preflight." in name:
            raise pytest.UsageError(f"--receiver-baseline={path.name}: without {name} nothing is judged; take it out")
    return known


def _pinned(config: pytest.Config) -> frozenset[str] | None:
    version = option(config, "checks-as-of")
    try:
        return None if version is None else releases.names(version)
    except releases.UnknownRelease as error:
        raise pytest.UsageError(f"--receiver-checks-as-of={version}: {error}") from None


def _reasons(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) and value.strip() for value in values)
