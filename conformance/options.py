"""Reads the options of a run: the command line wins, then the environment, then the ini file."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from random import SystemRandom
from urllib.parse import urlsplit

import pytest

from conformance.check import Check, all_checks
from conformance.effects import BadEffects, SourceOptions, compiled, open_effects
from conformance.run import ReadEffects, Settings
from conformance.verdict import Level
from provider_mock import providers
from provider_mock.contract import BadCredentials, Credentials, Provider

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""The name of a header (RFC 9110, section 5.6.2)."""
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"", "0", "false", "no", "off"})


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


def settings(config: pytest.Config) -> Settings:
    """Return everything that was asked for; UsageError names the option that cannot be used."""
    chosen = provider(config)
    handles = option(config, "handles")
    return Settings(
        url=_url(str(config.getoption("--receiver-url"))),
        provider=chosen,
        credentials=_credentials(config, chosen),
        seed=_number(config, "seed", SystemRandom().randrange(2**32)),
        settle=_seconds(config),
        level=_level(config),
        handles=_handles(handles, chosen) if handles else None,
        headers=tuple(_header(text) for text in options(config, "header")),
        ca_file=_file(config, "ca"),
        allow_incomplete=flag(config, "allow-incomplete"),
        baseline=_baseline(config),
    )


def effects(config: pytest.Config, settings: Settings) -> ReadEffects | None:
    """Return the function that reads the effects, or None where no source is given."""
    spec, mapping = option(config, "effects"), option(config, "effects-map")
    try:
        # Compiled here also where a fixture gives the effects, so that a bad expression is a bad option.
        compiled(mapping)
        return open_effects(spec, SourceOptions(settings.headers, settings.ca_file), mapping) if spec else None
    except BadEffects as error:
        raise pytest.UsageError(str(error)) from None


def chosen_checks(config: pytest.Config, provider: Provider) -> list[Check]:
    """Return the checks that hold for the provider and were asked for; UsageError if there are none."""
    holding = [one for one in all_checks() if one.level(provider)]
    globs = options(config, "check")
    for glob in globs:
        if not any(fnmatchcase(one.id(provider), glob) for one in holding):
            raise pytest.UsageError(
                f"--receiver-check={glob} matches no check of {provider.name}; "
                f"list them with: pytest --receiver-list --receiver-provider={provider.name}"
            )
    return [one for one in holding if not globs or any(fnmatchcase(one.id(provider), glob) for glob in globs)]


def json_file(config: pytest.Config) -> Path | None:
    """Return where the JSON result goes; UsageError if its folder is not there."""
    name = option(config, "json")
    if name is None:
        return None
    path = config.invocation_params.dir / name
    if not path.parent.is_dir():
        raise pytest.UsageError(f"--receiver-json={name}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise pytest.UsageError(f"--receiver-json={name}: it is a folder; give a file in it")
    return path


def list_checks(config: pytest.Config) -> None:
    """Print id, level, title and source of every check, of the provider that was named or of all."""
    named = option(config, "provider")
    chosen = [provider(config)] if named else [providers.load(name) for name in providers.names()]
    globs = options(config, "check") or ["*"]
    for one in chosen:
        for check in all_checks():
            level = check.level(one)
            if level is not None and any(fnmatchcase(check.id(one), glob) for glob in globs):
                sys.stdout.write(f"{check.id(one)}\t{level.value}\t{check.title}\t{check.source(one)}\n")


def _url(url: str) -> str:
    try:
        parts = urlsplit(url)
        # Raises where it is no number.
        parts.port  # noqa: B018
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise pytest.UsageError(f"--receiver-url={url}: give the whole address, as in http://127.0.0.1:8080/callbacks")
    return url


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


def _level(config: pytest.Config) -> Level:
    value = option(config, "level")
    try:
        return Level(value or "should")
    except ValueError:
        raise pytest.UsageError(f"--receiver-level={value}: give must, should or may") from None


def _handles(value: str, provider: Provider) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    for name in names:
        if name not in provider.catalogue:
            raise pytest.UsageError(
                f"--receiver-handles: {provider.name} has no event type {name!r}; "
                f"list them with: provider-mock events {provider.name}"
            )
    return names


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not TOKEN.fullmatch(name.strip()):
        raise pytest.UsageError("--receiver-header: give it as NAME:VALUE")
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
        known = json.loads(path.read_text(encoding="utf-8"))
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


def _reasons(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) and value.strip() for value in values)
