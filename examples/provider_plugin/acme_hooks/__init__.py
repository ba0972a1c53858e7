"""Acme, an IM service that calls servers as Standard Webhooks describes it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from importlib.resources import files

from im_callback import schemas
from im_callback.provider_mock.contract import Credentials, Provider

from acme_hooks.events import Events


class Acme(Provider):
    """Acme, an IM service."""

    name = "acme"
    title = "Acme"
    defaults = Credentials("test-app", "whsec_dGVzdC1zZWNyZXQtb2YtMjQtYnl0ZXM=")

    @cached_property
    def catalogue(self) -> schemas.Catalogue:
        """The event types: the files of this package's own folder."""
        return schemas.load(files(__name__).joinpath("schemas"), check=False)

    def credentials(self, app_key: str | None, app_secret: str | None) -> Credentials:
        """Return credentials as they are typed: after a space, secrets of before that are still signed with."""
        found = super().credentials(app_key, app_secret)
        current, *earlier = (found.app_secret or "").split() or [""]
        return replace(found, app_secret=current, earlier=tuple(earlier))


PROVIDER = Acme(Events())
