"""Checks an app's settings, and makes of them what the engine delivers by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from math import isfinite
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from provider_mock import providers
from provider_mock.contract import NO_SECRET, BadCredentials, Credentials, Event, Provider, RetryPolicy
from provider_mock.delivery import faults as catalogue
from provider_mock.delivery.disturbance import disturbed
from provider_mock.delivery.engine import App
from provider_mock.server.errors import Problem
from provider_mock.server.models import OPTIONS, AppSettings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What an app can be called: it stands in paths, labels and file names."""
MOST_CONNECTIONS = 1000
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_REFERENCE = re.compile(r"(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+)")
_ADDRESS = "give it as http://host:port/path"
_LIST = "provider-mock faults lists them"


def problems(name: str, settings: AppSettings) -> list[Problem]:
    """Return everything that is wrong with an app; fields are JSON Pointers into its settings."""
    found: list[Problem] = []
    if not NAME.fullmatch(name):
        found.append(
            Problem("name", f"{name[:80]!r} is no name", "use up to 64 letters, digits, dots, underscores and hyphens")
        )
    try:
        provider = providers.load(settings.provider)
    except providers.UnknownProvider as error:
        fact, _, fix = str(error).partition("; ")
        found.append(Problem("/provider", fact, fix))
    else:
        found += _of_provider(provider, settings)
    found += _secret(settings)
    found += address("/endpoint", settings.endpoint)
    if not 1 <= settings.concurrency <= MOST_CONNECTIONS:
        found.append(
            Problem("/concurrency", f"{settings.concurrency} is not possible", f"give 1 to {MOST_CONNECTIONS}")
        )
    for header, value in (settings.headers or {}).items():
        found += _header(header, value)
    if settings.ca_file is not None and not Path(settings.ca_file).is_file():
        found.append(Problem("/ca_file", f"{settings.ca_file!r} is no file", "give the path of certificates in PEM"))
    if settings.proxy is not None:
        found += _proxy(settings.proxy)
    return found + fault_problems(settings.faults or ())


def fault_problems(texts: tuple[str, ...]) -> list[Problem]:
    """Return what is wrong with faults as they are typed."""
    found = [(index, _misread(text)) for index, text in enumerate(texts)]
    return [replace(problem, field=f"/faults/{index}") for index, problem in found if problem is not None]


def without_effect(texts: tuple[str, ...], app: App) -> list[Problem]:
    """Return why faults that are typed well could disturb nothing of an app."""
    sample = next((one for one in app.provider.catalogue if one.examples), None)
    if sample is None:
        return []
    try:
        events = [[Event(sample.name, dict(sample.examples[0]))]]
        disturbed(texts, app.provider, app.credentials, events, 0, proxied=app.proxy is not None)
    except (ValueError, LookupError) as error:
        return unusable(error)
    return []


def _misread(text: str) -> Problem | None:
    try:
        catalogue.parse(text)
    except (LookupError, ValueError) as error:
        return unusable(error)[0]
    return None


def unusable(error: Exception) -> list[Problem]:
    """Return the problem that an error of the faults stands for."""
    fact, _, fix = str(error).partition("; ")
    return [Problem("/faults", fact, fix or _LIST)]


def _split(text: str) -> SplitResult:
    """Return the parts of a URL; ValueError if it is none. Python 3.10 takes anything in brackets for an address."""
    parts = urlsplit(text)
    if ":" in (parts.hostname or ""):
        ip_address((parts.hostname or "").partition("%")[0])
    return parts


def _usable(parts: SplitResult, text: str) -> bool:
    """Return whether a URL names an http or https server; ValueError if its port is none."""
    named = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    return named and text.isprintable() and text.isascii() and " " not in text


def address(field: str, text: str) -> list[Problem]:
    """Return what is wrong with an address that callbacks are to be posted to."""
    try:
        parts = _split(text)
        usable = _usable(parts, text)
    except ValueError:
        return [Problem(field, "is no address that can be read", _ADDRESS)]
    if parts.username is not None or parts.password is not None:
        return [Problem(field, "holds a user name or password", "leave it out, and give a header instead")]
    if not usable:
        return [Problem(field, f"{text[:200]!r} is no http or https address", _ADDRESS)]
    return []


def policy_name(provider: Provider, settings: AppSettings) -> str:
    """Return the name of an app's retry policy: the provider's first where none is chosen."""
    return settings.policy or next(iter(provider.policies))


def app(name: str, provider: Provider, settings: AppSettings, secret: str | None) -> App:
    """Return what the engine delivers by; raises BadCredentials. The settings have no problems."""
    credentials = credentials_of(provider, settings.app_key, secret)
    policy = _overridden(provider.policies[policy_name(provider, settings)], settings.options)
    return App(
        name,
        provider,
        settings.endpoint,
        credentials,
        policy,
        concurrency=settings.concurrency,
        headers=tuple((settings.headers or {}).items()),
        ca_file=None if settings.ca_file is None else Path(settings.ca_file),
        proxy=settings.proxy,
    )


def credentials_of(provider: Provider, app_key: str | None, secret: str | None) -> Credentials:
    """Return credentials; the secret None stands for none at all, as `none` does. Raises BadCredentials."""
    return provider.credentials(app_key, NO_SECRET if secret is None else secret)


def _of_provider(provider: Provider, settings: AppSettings) -> list[Problem]:
    found: list[Problem] = []
    if settings.policy is not None and settings.policy not in provider.policies:
        found.append(
            Problem(
                "/policy",
                f"{provider.name} has no policy called {settings.policy!r}",
                f"choose one of: {', '.join(provider.policies)}",
            )
        )
    else:
        found += _options(policy_name(provider, settings), provider, settings.options)
    try:
        provider.credentials(settings.app_key, settings.app_secret)
    except BadCredentials as error:
        fact, _, fix = str(error).partition("; ")
        found.append(Problem(f"/app_{error.which}", fact, fix))
    return found


def _options(policy: str, provider: Provider, options: Mapping[str, Any]) -> list[Problem]:
    rules = provider.policies[policy]
    others = ", ".join(name for name, one in provider.policies.items() if one.retries) or "none of this provider"
    found: list[Problem] = []
    for name, value in options.items():
        field = f"/options/{name}"
        if name not in OPTIONS:
            found.append(Problem(field, "is no option of a policy", f"choose from: {', '.join(OPTIONS)}"))
        elif name == "signed_afresh":
            if not isinstance(value, bool):
                found.append(Problem(field, f"{value!r} is neither true nor false", "give one of them"))
        elif not _amount(value, whole=not name.endswith("_seconds")):
            kind = "number of seconds" if name.endswith("_seconds") else "whole number"
            found.append(Problem(field, f"{value!r} is no such amount", f"give a {kind} from 0 to 1,000,000,000"))
        elif name in ("retries", "spacing_seconds") and not rules.retries:
            found.append(
                Problem(field, f"the policy {policy} never sends again", f"choose a policy that does: {others}")
            )
        elif name == "backlog" and rules.exhausted != "parked":
            found.append(
                Problem(field, f"the policy {policy} parks nothing", "leave it out, or choose a policy that parks")
            )
    return found


def _amount(value: Any, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return False
    return isfinite(value) and 0 <= value <= 10**9


def _overridden(policy: RetryPolicy, options: Mapping[str, Any]) -> RetryPolicy:
    changed = {name: options[name] for name in options if name not in ("retries", "spacing_seconds")}
    if "retries" in options:
        changed["retries"] = dict.fromkeys(policy.retries, options["retries"])
    if "spacing_seconds" in options:
        changed["spacing"] = dict.fromkeys(policy.retries, float(options["spacing_seconds"]))
    return replace(policy, **changed)


def _secret(settings: AppSettings) -> list[Problem]:
    if settings.app_secret is not None and settings.secret_ref is not None:
        return [Problem("/secret_ref", "is given beside app_secret", "give one of the two")]
    if settings.secret_ref is not None and not _REFERENCE.fullmatch(settings.secret_ref):
        return [Problem("/secret_ref", "is no reference to a secret", "write env:NAME or file:PATH")]
    return []


def _header(name: str, value: str) -> list[Problem]:
    field = f"/headers/{name[:80].replace('~', '~0').replace('/', '~1')}"
    if not _TOKEN.fullmatch(name):
        return [Problem(field, "is no name of a header", "use letters, digits and hyphens")]
    if not value.isprintable() or not value.isascii():
        return [Problem(field, "has a value that no header can carry", "give printable ASCII")]
    return []


def _proxy(text: str) -> list[Problem]:
    try:
        parts = _split(text)
        usable = _usable(parts, text)
    except ValueError:
        usable = False
    if usable:
        return []
    return [Problem("/proxy", "is no http or https address", "give it as http://host:port")]
