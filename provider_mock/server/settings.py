"""Checks an app's settings, and makes of them what the engine delivers by.

What options.py declares comes first; here is what depends on the provider, on the operator's rules or on files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import BadAddress, Network, host_of, refused_host, sendable
from im_callback.provider_mock.contract import (
    NO_SECRET,
    BadCredentials,
    Credentials,
    Event,
    Feed,
    Provider,
    RetryPolicy,
)
from im_callback.provider_mock.delivery import faults as catalogue
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.disturbance import disturbed
from im_callback.provider_mock.files import authority_problem
from im_callback.provider_mock.headers import refused
from im_callback.provider_mock.server import option
from im_callback.provider_mock.server.errors import Objection
from im_callback.provider_mock.server.models import Rules
from im_callback.provider_mock.server.option import LONGEST_SHOWN
from im_callback.provider_mock.server.options import AppSettings, Overrides, policies
from im_callback.schemas.nearest import choice
from im_callback.schemas.pointer import join

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""What an app can be called: it stands in paths, labels and file names."""
_LIST = "provider-mock faults lists them"


class OfPackage(Objection):
    """What is wrong with a package that adds a provider. Whoever made the settings cannot mend it."""

    __slots__ = ()


def problems(name: str, settings: AppSettings, rules: Rules) -> list[Objection]:
    """Return everything that is wrong with an app; fields are JSON Pointers into its settings.

    What the declarations say comes first, and where something is wrong with that, alone: the rest relies on it.
    """
    if found := [*_name(name), *option.problems(settings)]:
        return found
    found = [*_plain(settings, rules)]
    try:
        provider = providers.load(settings.provider)
        found += _of_provider(provider, settings)
        if not found:
            found += _without_effect(provider, settings)
    except providers.UnknownProvider as error:
        fact, _, fix = str(error).partition("; ")
        kind = OfPackage if isinstance(error, providers.UnusableProvider) else Objection
        found.insert(0, kind("/provider", fact, fix))
    except Exception as error:  # noqa: BLE001 - a package may raise anything, and is not to stop the server
        found.insert(0, failed(settings.provider, error))
    return found


def failed(provider: str, error: Exception) -> OfPackage:
    """Return the problem of a provider whose code raised."""
    said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return OfPackage("/provider", f"the provider {provider} failed ({said})", "mend its package, or uninstall it")


def _name(name: str) -> Iterator[Objection]:
    if not NAME.fullmatch(name):
        yield Objection(
            "name", f"{name[:80]!r} is no name", "use up to 64 letters, digits, dots, underscores and hyphens"
        )


def _plain(settings: AppSettings, rules: Rules) -> Iterator[Objection]:
    """Yield what is wrong whatever the provider is."""
    if settings.app_secret is not None and settings.secret_ref is not None:
        yield Objection("/secret_ref", "is given beside app_secret", "give one of the two")
    if settings.previous_secret is not None and settings.previous_secret_ref is not None:
        yield Objection("/previous_secret_ref", "is given beside previous_secret", "give one of the two")
    if settings.overlap_until is not None and not settings.names_previous:
        yield Objection(
            "/overlap_until",
            "is given without a previous secret",
            "give previous_secret, or with it another secret than the app has, or leave it out",
        )
    yield from address("/endpoint", settings.endpoint, rules.allow_addresses)
    for feed, text in settings.endpoints.items():
        yield from address(_member("endpoints", feed), text, rules.allow_addresses)
    for header, text in (settings.headers or {}).items():
        if not text.isprintable() or not text.isascii():
            yield Objection(_member("headers", header), "has a value that no header can carry", "give printable ASCII")
    if settings.ca_file is not None and (problem := authority_problem(Path(settings.ca_file))) is not None:
        yield Objection("/ca_file", f"{settings.ca_file!r} {problem}", "give the path of certificates in PEM")
    if settings.proxy is not None:
        yield from _proxy(settings.proxy, rules.allow_addresses)
    yield from fault_problems(settings.faults or ())


def fault_problems(texts: tuple[str, ...]) -> list[Objection]:
    """Return what is wrong with faults as they are typed."""
    found = [(index, _misread(text)) for index, text in enumerate(texts)]
    return [replace(problem, field=f"/faults/{index}") for index, problem in found if problem is not None]


def without_effect(texts: tuple[str, ...], app: App) -> list[Objection]:
    """Return why faults that are typed well could disturb nothing of an app."""
    return _idle(texts, app.provider, app.credentials, proxied=app.proxy is not None)


def _without_effect(provider: Provider, settings: AppSettings) -> list[Objection]:
    secret = NO_SECRET if settings.app_secret == NO_SECRET else None
    credentials = provider.credentials(settings.app_key, secret)
    if settings.previous_secret is not None or settings.previous_secret_ref is not None:
        # Which one it is, is not looked up yet.
        credentials = replace(credentials, previous=replace(credentials, app_secret=f"not-{secret}"))
    return _idle(settings.faults or (), provider, credentials, proxied=settings.proxy is not None)


def _idle(texts: tuple[str, ...], provider: Provider, credentials: Credentials, *, proxied: bool) -> list[Objection]:
    sample = next((one for one in provider.catalogue if one.examples), None)
    if sample is None or not texts:
        return []
    try:
        events = [[Event(sample.name, dict(sample.examples[0]))]]
        disturbed(texts, provider, credentials, events, 0, proxied=proxied)
    except (ValueError, LookupError) as error:
        return unusable(error)
    return []


def _misread(text: str) -> Objection | None:
    try:
        catalogue.parse(text)
    except (LookupError, ValueError) as error:
        return unusable(error)[0]
    return None


def unusable(error: Exception) -> list[Objection]:
    """Return the problem that an error of the faults stands for."""
    fact, _, fix = str(error).partition("; ")
    return [Objection("/faults", fact, fix or _LIST)]


def address(field: str, text: str, allowed: tuple[Network, ...]) -> list[Objection]:
    """Return what is wrong with an address that callbacks are to be posted to."""
    try:
        sent = sendable(text)
    except BadAddress as error:
        return [Objection(field, error.problem, error.fix)]
    return _far(field, sent, allowed)


def _far(field: str, sent: str, allowed: tuple[Network, ...]) -> list[Objection]:
    if (reason := refused_host(host_of(sent), allowed)) is None:
        return []
    return [Objection(field, reason, "give another address, or name it there")]


def _policy(feed: Feed, name: str) -> RetryPolicy:
    """Return the policy of this name, or the feed's first where it has none of that name."""
    return feed.policies.get(name) or next(iter(feed.policies.values()))


def policy_name(provider: Provider, settings: AppSettings) -> str:
    """Return the name of an app's retry policy: the provider's first where none is chosen."""
    return settings.policy or next(iter(provider.feeds[0].policies))


def app(
    name: str,
    provider: Provider,
    settings: AppSettings,
    secret: str | None,
    refuses: Callable[[str], str | None],
) -> App:
    """Return what the engine delivers by; raises BadCredentials. The settings have no problems."""
    credentials = credentials_of(provider, settings.app_key, secret)
    chosen = policy_name(provider, settings)
    followed = {feed.name: _overridden(_policy(feed, chosen), settings.options) for feed in provider.feeds}
    return App(
        name,
        provider,
        sendable(settings.endpoint),
        credentials,
        followed[provider.feeds[0].name],
        endpoints={name: sendable(text) for name, text in settings.endpoints.items()},
        policies=followed,
        concurrency=settings.concurrency,
        headers=tuple((settings.headers or {}).items()),
        ca_file=None if settings.ca_file is None else Path(settings.ca_file),
        proxy=None if settings.proxy is None else sendable(settings.proxy, login=True),
        rate=settings.rate,
        give_up_hours=settings.give_up_hours,
        refuses=refuses,
    )


def credentials_of(provider: Provider, app_key: str | None, secret: str | None) -> Credentials:
    """Return credentials; the secret None stands for none at all, as `none` does. Raises BadCredentials."""
    return provider.credentials(app_key, NO_SECRET if secret is None else secret)


def _of_provider(provider: Provider, settings: AppSettings) -> list[Objection]:
    found: list[Objection] = []
    if settings.policy is not None and settings.policy not in policies(provider):
        found.append(
            Objection(
                "/policy",
                f"{provider.name} has no policy called {settings.policy!r}",
                choice(settings.policy, policies(provider)),
            )
        )
    else:
        found += _options(policy_name(provider, settings), provider, settings.options)
    try:
        provider.credentials(settings.app_key, settings.app_secret)
    except BadCredentials as error:
        fact, _, fix = str(error).partition("; ")
        found.append(Objection(f"/app_{error.which}", fact, fix))
    try:
        provider.credentials(None, settings.previous_secret)
    except BadCredentials as error:
        fact, _, fix = str(error).partition("; ")
        found.append(Objection("/previous_secret", fact, fix))
    for header in settings.headers or {}:
        if (wrong := refused(header, provider)) is not None:
            found.append(Objection(_member("headers", header), *wrong))
    named = [(_member("endpoints", name), name) for name in settings.endpoints]
    named += [(f"/api_feeds/{index}", name) for index, name in enumerate(settings.api_feeds or ())]
    for place, name in named:
        if name not in provider.feed_names:
            fix = choice(name, provider.feed_names)
            found.append(Objection(place, f"{provider.name} has no feed of this name", fix))
    return found


def _options(policy: str, provider: Provider, options: Overrides) -> Iterator[Objection]:
    """Yield which options would be without effect."""
    rules = policies(provider)[policy]
    others = ", ".join(name for name, one in policies(provider).items() if one.retries) or "none of this provider"
    for name in options:
        if name in ("retries", "spacing_seconds") and not rules.retries:
            fix = f"choose a policy that does: {others}"
            yield Objection(f"/options/{name}", f"the policy {policy} never sends again", fix)
        elif name == "backlog" and rules.exhausted != "parked":
            fix = "leave it out, or choose a policy that parks"
            yield Objection(f"/options/{name}", f"the policy {policy} parks nothing", fix)


def _overridden(policy: RetryPolicy, options: Mapping[str, Any]) -> RetryPolicy:
    changed = {name: options[name] for name in options if name not in ("retries", "spacing_seconds")}
    if "retries" in options:
        changed["retries"] = dict.fromkeys(policy.retries, options["retries"])
    if "spacing_seconds" in options:
        changed["spacing"] = dict.fromkeys(policy.retries, float(options["spacing_seconds"]))
    return replace(policy, **changed)


def _member(table: str, name: str) -> str:
    return join([table, name[:LONGEST_SHOWN]])


def _proxy(text: str, allowed: tuple[Network, ...]) -> list[Objection]:
    try:
        sent = sendable(text, login=True)
    except BadAddress:
        return [Objection("/proxy", "is no http or https address", "give it as http://host:port")]
    return _far("/proxy", sent, allowed)
