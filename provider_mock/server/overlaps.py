"""The previous secrets of apps: which they are, and which deliveries are signed with them while both hold."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import replace

from im_callback.provider_mock.contract import NO_SECRET, Credentials
from im_callback.provider_mock.delivery.app import App, Overlap
from im_callback.provider_mock.delivery.ledger import Ledger
from im_callback.provider_mock.server import settings as checked
from im_callback.provider_mock.server.options import AppSettings
from im_callback.provider_mock.server.secrets import SecretMissing


def rotated(
    settings: AppSettings, before: AppSettings, *, secret: str | None, had: str | None, ref: str | None
) -> AppSettings:
    """Return the settings of an app that is replaced with its previous secrets, where nothing is said of them.

    `secret` is its secret now and `had` the one before (None: nothing is signed), which is kept at `ref`, if elsewhere
    than here. With the same secrets it keeps the previous ones; with others they are the ones before, if there is an overlap.
    """
    if settings.names_previous:
        return settings
    turned, api_turned = secret != had, settings.api_secret_ref != before.api_secret_ref
    if (turned or api_turned) and settings.overlap_until is None:
        return settings
    found = replace(
        settings,
        previous_secret_ref=before.previous_secret_ref,
        previous_api_secret_ref=before.previous_api_secret_ref,
        overlap_until=before.overlap_until if settings.overlap_until is None else settings.overlap_until,
    )
    if turned:
        elsewhere = ref is not None and ref != settings.secret_ref
        literal = None if elsewhere else NO_SECRET if had is None else had
        found = replace(found, previous_secret=literal, previous_secret_ref=ref if elsewhere else None)
    if api_turned:
        found = replace(found, previous_api_secret_ref=before.api_secret_ref)
    return found


class Overlaps:
    """Gives apps their previous secrets. `now` is the time of the clock that deliveries are due by."""

    def __init__(self, ledger: Ledger, now: Callable[[], int]) -> None:
        self._ledger, self._now = ledger, now
        self._begun: dict[str, str] = {}
        """What is to be on record, by the names of apps."""

    def apply(self, app: App, settings: AppSettings, find: Callable[[str], str | None]) -> tuple[App, str | None]:
        """Return an app with its previous secret, and that of its server API (None: there is none).

        `find` returns the secret that a reference leads to. Raises SecretMissing while it is needed, and BadCredentials.
        """
        until = settings.overlap_until
        lasts = until is not None and until > self._now()

        def found(literal: str | None, ref: str | None) -> str | None:
            if literal is not None or ref is None:
                return literal
            try:
                return find(ref)
            except SecretMissing:
                if lasts:
                    raise
                return None

        previous = found(settings.previous_secret, settings.previous_secret_ref)
        if previous is not None:
            earlier = checked.credentials_of(app.provider, settings.app_key, previous)
            app = replace(app, credentials=replace(app.credentials, previous=earlier))
            if lasts:
                assert until is not None
                app = replace(app, overlap=Overlap(until, self._last_id(app.name, app.credentials)))
        api = found(settings.previous_api_secret, settings.previous_api_secret_ref)
        of_its_own = settings.api_secret is not None or settings.api_secret_ref is not None
        if api is None and not of_its_own and app.credentials.previous is not None:
            api = app.credentials.previous.app_secret
        return app, api

    def record(self, name: str, app: App | None) -> None:
        """Put on record when an app's secret was changed, if that is new; without a previous one it is forgotten. LedgerError."""
        text = self._begun.pop(name, None)
        if text is None and app is not None and app.credentials.previous is None and self._ledger.setting(_key(name)):
            text = ""
        if text is not None:
            self._ledger.put_setting(_key(name), text)

    def _last_id(self, name: str, credentials: Credentials) -> int:
        """Return the last delivery that was accepted before this change of secrets: up to now, if it is a new one."""
        self._begun.pop(name, None)
        kept = json.loads(self._ledger.setting(_key(name)) or "{}")
        if kept and kept["change"] == _mark(credentials, kept["salt"]):
            return int(kept["last_id"])
        last_id, salt = self._ledger.last_id(), secrets.token_hex(16)
        self._begun[name] = json.dumps({"change": _mark(credentials, salt), "salt": salt, "last_id": last_id})
        return last_id


def _key(name: str) -> str:
    return f"overlap.{name}"


def _mark(credentials: Credentials, salt: str) -> str:
    """Return by what two secrets are known again. It is short and slow to make, so that it gives none of them away."""
    both = json.dumps(credentials.secrets).encode()
    return hashlib.scrypt(both, salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=4).hex()
