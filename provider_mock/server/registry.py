"""The apps: those of the configuration file and those that came through the API and are stored in the ledger."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from im_callback.provider_mock import providers
from im_callback.provider_mock.addresses import refused_ip
from im_callback.provider_mock.contract import NO_SECRET, BadCredentials, Provider
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.delivery.lane import LaneView
from im_callback.provider_mock.delivery.ledger import Ledger, Query, StoredApp
from im_callback.provider_mock.delivery.ledger.records import PARKED, WAITING
from im_callback.provider_mock.delivery.ledger.told import APP, FAULTS
from im_callback.provider_mock.server import option
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.errors import Conflict, Invalid, NotFound, Objection, Unavailable
from im_callback.provider_mock.server.models import AppView, Rules, Source
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.overlaps import Overlaps, rotated
from im_callback.provider_mock.server.secrets import PRESENT, PREVIOUS, SecretMissing, SecretStore
from im_callback.schemas.nearest import question

log = logging.getLogger("im_callback.provider_mock.server")

TEST, NONE, CONFIG = "test", "none", "config"
_IN_FILE = "put the app in the configuration file"
_TEST_REF = "config:test"
"""How the ledger refers to the provider's test secret."""
_COLUMNS = ("provider", "endpoint", "app_key", "policy")
"""The options that have a column of their own on record; the others are together in one."""
_FAULTS = "faults."
"""Before an app's name: the setting that keeps which faults stand, for other processes."""
PATIENCE = 10.0
"""Seconds that a change waits for another one of the same app."""


@dataclass(frozen=True)
class Entry:
    """An app with what it takes to accept for it, and to deliver: `app` is None while it cannot be delivered."""

    name: str
    settings: AppSettings
    secret: str
    """Where the secret comes from, as it is shown."""
    source: Source
    provider: Provider | None
    app: App | None
    not_ready: str | None
    faults: tuple[str, ...]
    standing: Standing
    api_secret: str | None = field(default=None, repr=False)
    """What calls of the provider's server API are signed with."""
    previous_api_secret: str | None = field(default=None, repr=False)
    """What they may be signed with as well, until its `overlap_until`."""
    app_secret: str | None = field(default=None, repr=False)
    """The secret as it was found; None: nothing is signed."""


@dataclass
class Standing:
    """How many deliveries were accepted since the app's standing faults were set, so that every=N counts through."""

    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class Registry:
    """The apps by name. `changed` is called with each app that can be delivered, `gone` with the name of one that cannot.

    `configured` are the apps of the configuration file; those win over stored ones of their name. One
    that cannot be delivered now is not ready, and stops no other. Changes of one app come one after the
    other; files and the ledger, which can take long, keep nobody else waiting. `now` is the time of the
    clock that deliveries are due by.
    """

    def __init__(
        self,
        ledger: Ledger,
        secrets: SecretStore,
        configured: Mapping[str, AppSettings],
        rules: Rules | None = None,
        *,
        changed: Callable[[App], None],
        gone: Callable[[str], None],
        lanes: Callable[[], Mapping[str, LaneView]],
        now: Callable[[], int],
    ) -> None:
        self._ledger, self._secrets = ledger, secrets
        self._overlaps = Overlaps(ledger, now)
        self._changed, self._gone, self._lanes = changed, gone, lanes
        self._rules = rules or Rules()
        self._shared = ledger.shared
        self._refuses = partial(refused_ip, allowed=self._rules.allow_addresses)
        self._free = threading.Condition()
        self._busy: set[str] = set()
        """The apps that are being changed."""
        self._entries: dict[str, Entry] = {}
        for error in providers.unusable().values():
            log.warning("%s", error, extra={"event": "provider-unusable", "fields": {"provider": error.name}})
        for stored in ledger.apps():
            if stored.name not in configured:
                self._enter(self._from_ledger(stored))
        for name, settings in configured.items():
            entry = self._checked(name, settings, _reference(settings), "config")
            problem = self._others_wait(name, settings.provider)
            self._enter(entry if problem is None else replace(entry, app=None, not_ready=problem))

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def names(self) -> list[str]:
        """Return the names of all apps, in order."""
        return sorted(self._entries)

    def ready(self) -> dict[str, bool]:
        """Return whether each app can be delivered, by name."""
        return {name: entry.app is not None for name, entry in sorted(dict(self._entries).items())}

    def entry(self, name: str) -> Entry:
        """Return an app with everything that belongs to it; NotFound."""
        if (found := self._entries.get(name)) is None and self._shared:
            # Another process may have put it a moment ago.
            self._reload(name)
            found = self._entries.get(name)
        if found is None:
            fix = question(name, self._entries) or "see the list of apps"
            raise NotFound.of("app", f"there is no app {name[:80]!r}", fix)
        return found

    def of_key(self, provider: str, app_key: str) -> list[Entry]:
        """Return the apps of a provider that can be delivered and have this key, by name."""
        found = self._of_key(provider, app_key)
        if not found and self._shared:
            # Another process may have put it a moment ago; those that are known here are not made anew for it.
            for stored in self._ledger.apps():
                if stored.name not in self._entries:
                    self._reload(stored.name)
            found = self._of_key(provider, app_key)
        return found

    def _of_key(self, provider: str, app_key: str) -> list[Entry]:
        ready = [
            one for one in dict(self._entries).values() if one.app is not None and one.settings.provider == provider
        ]
        return sorted(
            (one for one in ready if one.app is not None and one.app.credentials.app_key == app_key),
            key=lambda one: one.name,
        )

    def list(self) -> list[AppView]:
        """Return all apps by name."""
        lanes = self._lanes()
        return [_view(entry, lanes) for _, entry in sorted(dict(self._entries).items())]

    def get(self, name: str) -> AppView:
        """Return one app; NotFound."""
        return _view(self.entry(name), self._lanes())

    def put(self, name: str, settings: AppSettings, *, new: bool = False) -> tuple[AppView, bool]:
        """Add an app, or replace the one of this name unless it has to be `new`; return it, and whether it is new.

        What has not left yet is delivered by the new settings.

        Raises:
            Invalid: something is wrong with the settings; all of it is said.
            Conflict: the app is in the configuration file, or there is one already.
            Unavailable: it is being changed, and that takes long.
        """
        with self._changing(name):
            before = self._entries.get(name)
            self._check_changeable(before)
            if before is not None and new:
                raise Conflict.of("name", f"there is an app {name!r} already", "choose another name, or replace it")
            settings = self._rotated(name, _kept(settings, before), before)
            if problem := self._others_wait(name, settings.provider):
                raise Conflict.of("/provider", problem, "choose another name, or let them be delivered first")
            if found := _by_api(settings) or checked.problems(name, settings, self._rules):
                raise Invalid(found)
            reference = _reference(settings, before)
            entry = self._entry(name, settings, reference, "api")
            if entry.not_ready is not None:
                fact, _, fix = entry.not_ready.partition("; ")
                named = ("api_secret_ref", "previous_secret_ref", "previous_api_secret_ref")
                of = (one for one in named if f"secret {getattr(settings, one)} " in fact)
                raise Invalid.of(f"/{next(of, 'secret_ref')}", fact, fix)
            assert entry.app is not None
            if found := checked.without_effect(entry.faults, entry.app):
                raise Invalid(found)
            entry = self._placed(entry, reference)
            # Before other processes can read it with its secrets.
            self._overlaps.record(name, entry.app)
            self._store(entry, _stored_reference(entry.secret))
            if before is not None:
                self._secrets.forget(name, _stored_reference(before.secret) if before.secret != entry.secret else None)
                had = before.settings.previous_secret_ref
                self._secrets.forget(name, had if had != entry.settings.previous_secret_ref else None, PREVIOUS)
            self._enter(entry)
            self._tell(APP, name)
        return self.get(name), before is None

    def remove(self, name: str) -> None:
        """Remove an app; its deliveries stay on record, those that are waiting wait for an app of this name.

        Raises NotFound, Conflict if it is in the configuration file, and Unavailable as `put` does.
        """
        with self._changing(name):
            entry = self.entry(name)
            self._check_changeable(entry)
            self._ledger.remove_app(name)
            del self._entries[name]
            self._secrets.forget(name, _stored_reference(entry.secret))
            self._secrets.forget(name, entry.settings.previous_secret_ref, PREVIOUS)
            self._gone(name)
            self._tell(APP, name)

    def set_faults(self, name: str, faults: Sequence[str], *, stored: bool = True) -> AppView:
        """Disturb everything that is accepted for an app from now on; none: nothing any more.

        For an app of the configuration file, and if it is not to be `stored`, this holds until the next start. Raises NotFound, Invalid,
        and Unavailable as `put` does.
        """
        if found := checked.fault_problems(tuple(faults)):
            raise Invalid(found)
        with self._changing(name):
            before = self.entry(name)
            if before.app is not None and (found := checked.without_effect(tuple(faults), before.app)):
                raise Invalid(found)
            entry = replace(before, faults=tuple(faults), standing=Standing())
            if stored and entry.source == "api":
                self._store(entry, _stored_reference(entry.secret))
            self._entries[name] = entry
            self._tell(FAULTS, name, json.dumps(faults))
        return self.get(name)

    def begin(self) -> None:
        """Forget which faults stood when the last process ended, but for those that are on record with their app."""
        for name in self.names() if self._shared else ():
            if self._ledger.setting(_FAULTS + name):
                self._ledger.put_setting(_FAULTS + name, "")

    def hear(self, what: str, name: str) -> None:
        """Take in what another process has changed of an app; nothing told: of all, as something may not have been heard."""
        if what not in (APP, FAULTS):
            stored = {one.name for one in self._ledger.apps()}
            for one in stored | {entry.name for entry in dict(self._entries).values() if entry.source == "api"}:
                self._reload(one)
            for one in self.names():
                self._reload_faults(one)
        elif what == APP:
            self._reload(name)
        else:
            self._reload_faults(name)

    def _reload(self, name: str) -> None:
        """Take an app of the API as it is on record."""
        with self._changing(name):
            before = self._entries.get(name)
            if before is not None and before.source == "config":
                return
            stored = self._ledger.app(name)
            if stored is not None:
                entry = self._from_ledger(stored)
                if before is None or (entry.app, entry.not_ready) != (before.app, before.not_ready):
                    self._enter(entry)
                else:
                    self._entries[name] = entry
            elif before is not None:
                del self._entries[name]
                self._gone(name)

    def _reload_faults(self, name: str) -> None:
        """Let the faults stand that another process has set."""
        with self._changing(name):
            text, entry = self._ledger.setting(_FAULTS + name), self._entries.get(name)
            if text and entry is not None and entry.faults != (faults := tuple(json.loads(text))):
                self._entries[name] = replace(entry, faults=faults, standing=Standing())

    def _tell(self, what: str, name: str, faults: str = "") -> None:
        """Tell other processes what was changed, and which faults stand if they are not on record with the app."""
        if self._shared:
            self._ledger.put_setting(_FAULTS + name, faults)
            self._ledger.tell(what, name)

    @contextmanager
    def _changing(self, name: str) -> Iterator[None]:
        """Keep other changes of an app waiting."""
        with self._free:
            if not self._free.wait_for(lambda: name not in self._busy, PATIENCE):
                raise Unavailable.of("name", f"the app {name[:80]!r} is being changed", "try again in a moment")
            self._busy.add(name)
        try:
            yield
        finally:
            with self._free:
                self._busy.remove(name)
                self._free.notify_all()

    def _others_wait(self, name: str, provider: str) -> str | None:
        """Return what keeps an app's deliveries from being this provider's, or None."""
        for record in self._ledger.deliveries(Query(name, (WAITING, PARKED)), limit=1):
            of = record.event_type.partition(".")[0]
            if of != provider:
                return f"deliveries of {of} wait under the name {name!r}, and {provider} cannot send them"
        return None

    def _check_changeable(self, entry: Entry | None) -> None:
        if entry is not None and entry.source == "config":
            raise Conflict.of(
                "name", f"the app {entry.name!r} is in the configuration file", "change it there and start again"
            )

    def _enter(self, entry: Entry) -> None:
        self._overlaps.record(entry.name, entry.app)
        self._entries[entry.name] = entry
        if entry.app is not None:
            self._changed(entry.app)
        else:
            self._gone(entry.name)
            log.warning(
                "the app %s is not ready, and its deliveries wait: %s",
                entry.name,
                entry.not_ready,
                extra={"event": "app-not-ready", "fields": {"app": entry.name}},
            )

    def _placed(self, entry: Entry, reference: str | None) -> Entry:
        """Return an app with its literal secrets written to files."""
        name, settings = entry.name, entry.settings
        if settings.previous_secret is not None:
            kept = self._keep(name, settings.previous_secret, PREVIOUS)
            settings = replace(settings, previous_secret=None, previous_secret_ref=kept)
        if settings.app_secret not in (None, NO_SECRET):
            reference = self._keep(name, str(settings.app_secret))
        settings = replace(settings, app_secret=None, secret_ref=None)
        return replace(entry, settings=settings, secret=_shown_reference(reference))

    def _keep(self, name: str, secret: str, role: str = PRESENT) -> str:
        """Write a secret to its file, and return the reference to it."""
        given, other = ("/app_secret", "secret_ref") if role == PRESENT else ("/previous_secret", "previous_secret_ref")
        if self._secrets.folder is None:
            raise Invalid.of(
                given,
                "there is no folder to keep secrets in",
                f"give {other} (env:NAME or file:PATH), or start the server with --secrets DIR",
            )
        try:
            return self._secrets.keep(name, secret, role)
        except OSError as error:
            raise Invalid.of(
                given,
                f"it cannot be written to {self._secrets.folder} ({error.strerror})",
                f"make the folder writable, or give {other}",
            ) from None

    def _rotated(self, name: str, settings: AppSettings, before: Entry | None) -> AppSettings:
        """Return the settings with the previous secrets that follow from what the app had."""
        if before is None or before.app is None or before.settings.provider != settings.provider:
            return settings
        if (settings.overlap_until is None and not before.settings.names_previous) or option.problems(settings):
            return settings
        secret = before.app_secret
        if settings.app_secret is not None:
            secret = None if settings.app_secret == NO_SECRET else settings.app_secret
        elif settings.secret_ref is not None:
            try:
                secret = self._secret(name, before.app.provider, settings.secret_ref, "api")
            except SecretMissing:
                return settings
        had = _stored_reference(before.secret)
        ours = had in (None, _TEST_REF) or self._secrets.keeps(name, str(had))
        return rotated(settings, before.settings, secret=secret, had=before.app_secret, ref=None if ours else had)

    def _checked(self, name: str, settings: AppSettings, reference: str | None, source: Source) -> Entry:
        """Return the app of settings that were right once: a provider's package or a file may be gone."""
        found = checked.problems(name, settings, self._rules)
        return self._entry(name, settings, reference, source, str(found[0]) if found else None)

    def _entry(
        self, name: str, settings: AppSettings, reference: str | None, source: Source, not_ready: str | None = None
    ) -> Entry:
        """Return the app of these settings; one whose secret cannot be found is not ready."""
        shown = CONFIG if settings.app_secret not in (None, NO_SECRET) else _shown_reference(reference)
        provider, made, secret, api_secret, previous_api = _provider(settings), None, None, None, None
        if not_ready is None:
            assert provider is not None
            try:
                secret = settings.app_secret
                if secret in (None, NO_SECRET):
                    secret = None if reference is None else self._secret(name, provider, reference, source)
                made = checked.app(name, provider, settings, secret, self._refuses)
                api_secret = settings.api_secret or made.credentials.app_secret
                if settings.api_secret_ref is not None:
                    api_secret = self._secret(name, provider, settings.api_secret_ref, source)
                find = partial(self._secret, name, provider, source=source, role=PREVIOUS)
                made, previous_api = self._overlaps.apply(made, settings, find)
            except (SecretMissing, BadCredentials) as error:
                made, not_ready = None, str(error)
        faults = settings.faults or ()
        found = (api_secret, previous_api, secret)
        return Entry(name, settings, shown, source, provider, made, not_ready, faults, Standing(), *found)

    def _secret(self, name: str, provider: Provider, reference: str, source: Source, role: str = PRESENT) -> str | None:
        if reference == _TEST_REF:
            return provider.defaults.app_secret
        if source == "config":
            return self._secrets.find(reference)
        return self._secrets.find_allowed(name, reference, role)

    def _from_ledger(self, stored: StoredApp) -> Entry:
        columns = {name: getattr(stored, name) for name in _COLUMNS}
        others = stored.options if isinstance(stored.options, Mapping) else {"options": stored.options}
        settings = option.restored(AppSettings, {**others, **columns})
        if found := option.problems(settings):
            # Somebody else wrote it, or another version: it is not to stop the others.
            wrong = f"{found[0].field[1:]} {found[0].problem}"
            bare = AppSettings(stored.provider, stored.endpoint, stored.app_key)
            why = f"what is stored of it cannot be used ({wrong}); replace it, or remove it"
            return self._entry(stored.name, bare, stored.secret_ref, "api", why)
        return self._checked(stored.name, settings, stored.secret_ref, "api")

    def _store(self, entry: Entry, reference: str | None) -> None:
        settings = replace(entry.settings, faults=entry.faults)
        kept = {name: value for name, value in option.stored(settings).items() if name not in _COLUMNS}
        self._ledger.save_app(
            StoredApp(
                entry.name, settings.provider, _app_key(entry), reference, settings.endpoint, _policy(entry), kept
            )
        )


def _kept(settings: AppSettings, before: Entry | None) -> AppSettings:
    """Return the settings with what an app keeps that is not given again."""
    had = None if before is None else replace(before.settings, faults=before.faults)
    return option.kept(settings, had)


def _by_api(settings: AppSettings) -> list[Objection]:
    """Return what only a configuration file can give."""
    if settings.proxy is not None and "@" in settings.proxy:
        return [Objection("/proxy", "holds a user name or password", _IN_FILE)]
    if settings.ca_file is not None:
        # Whoever asks is not to learn which files there are.
        return [Objection("/ca_file", "cannot be given here", _IN_FILE)]
    return []


def _reference(settings: AppSettings, before: Entry | None = None) -> str | None:
    """Return the reference to an app's secret where that is not given literally: with none given, the one it has."""
    if settings.secret_ref is not None:
        return settings.secret_ref
    if settings.app_secret == NO_SECRET:
        return None
    same = before is not None and before.settings.provider == settings.provider
    return _stored_reference(before.secret) if before is not None and same else _TEST_REF


def _shown_reference(reference: str | None) -> str:
    return NONE if reference is None else TEST if reference == _TEST_REF else reference


def _stored_reference(shown: str) -> str | None:
    return None if shown == NONE else _TEST_REF if shown == TEST else shown


def _provider(settings: AppSettings) -> Provider | None:
    try:
        return providers.load(settings.provider)
    except providers.UnknownProvider:
        return None


def _app_key(entry: Entry) -> str:
    if entry.settings.app_key is not None:
        return entry.settings.app_key
    return "" if entry.provider is None else entry.provider.defaults.app_key


def _policy(entry: Entry) -> str:
    if entry.provider is None:
        return entry.settings.policy or ""
    return checked.policy_name(entry.provider, entry.settings)


def _view(entry: Entry, lanes: Mapping[str, LaneView]) -> AppView:
    settings, lane = entry.settings, lanes.get(entry.name)
    return AppView(
        entry.name,
        replace(
            option.masked(option.kept(settings, None)),
            app_key=_app_key(entry),
            policy=_policy(entry),
            proxy=_without_password(settings.proxy),
            faults=entry.faults,
        ),
        secret=entry.secret,
        previous_secret_ref=CONFIG if settings.previous_secret is not None else settings.previous_secret_ref,
        source=entry.source,
        ready=entry.app is not None,
        not_ready=entry.not_ready,
        in_flight=lane.in_flight if lane else 0,
        paused_until=lane.paused_until if lane else None,
        switched_off_at=lane.switched_off_at if lane else None,
        delivered_by=lane.holder if lane else None,
    )


def _without_password(proxy: str | None) -> str | None:
    if proxy is None or "@" not in proxy:
        return proxy
    parts = urlsplit(proxy)
    return parts._replace(netloc=f"***@{parts.netloc.rpartition('@')[2]}").geturl()
