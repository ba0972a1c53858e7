"""A server with a service behind it, on a free port of this machine, whatever endpoints its apps are given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import requests
from im_callback.provider_mock.delivery.app import App
from im_callback.provider_mock.server import settings
from im_callback.provider_mock.server.app import create_app, front_of
from im_callback.provider_mock.server.service import Service
from im_callback.provider_mock.server.serving import Serving
from im_callback.provider_mock.server.tokens import DEFAULT, Tokens, TokenSettings

from tests.provider_mock.peers import OK, Peer, Script, peer
from tests.provider_mock_server.waiting import until

TOKEN = "a-token-for-tests"


@dataclass
class Served:
    """A running server: its service, where it listens, and the receiver that everything is delivered to."""

    service: Service
    url: str
    receiver: Peer
    session: requests.Session
    tokens: Tokens

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
        """Return the answer to a request below `/api/v1`."""
        if body is not None:
            more["json"] = body
        return self.session.request(method, f"{self.url}/api/v1{path}", timeout=30, **more)

    def accept(self, app: str, *types: str, **more: Any) -> list[int]:
        """Return the ids of deliveries of these event types, with payloads made up."""
        body = {"events": [{"type": one} for one in types], **more}
        response = self.ask("POST", f"/apps/{app}/events", body)
        assert 202 == response.status_code, response.text
        return response.json()["deliveries"]

    def settled(self, ids: Sequence[int], state: str) -> None:
        """Return once all these deliveries are in this state."""
        states = until(lambda: {self.ask("GET", f"/deliveries/{one}").json()["state"] for one in ids}, {state})
        assert {state} == states


def written(file: Path, token: str) -> str:
    """Put a token into a file at once, as a mounted secret is, and return the reference to it."""
    draft = file.with_name(f"{file.name}.new")
    draft.write_text(f"{token}\n")
    draft.replace(file)
    return f"file:{file}"


@contextmanager
def served(
    folder: Path, *, token: str | None = None, tokens: Tokens | None = None, script: Script = OK, **more: Any
) -> Iterator[Served]:
    """Serve a new ledger in a folder, for one token that may everything, or for these.

    Wherever an app's endpoint leads, its deliveries go to a receiver that follows the script: made-up
    addresses are never called.
    """
    made = settings.app
    with peer(script) as receiver, requests.Session() as session:
        session.trust_env = False
        if token:
            session.headers["Authorization"] = f"Bearer {token}"

        def made_here(*given: Any) -> App:
            return replace(made(*given), endpoint=receiver.url, endpoints={}, proxy=None)

        folder.mkdir(parents=True, exist_ok=True)
        if tokens is None:
            tokens = Tokens() if token is None else Tokens({DEFAULT: TokenSettings(written(folder / "token", token))})
        with (
            patch.object(settings, "app", made_here),
            Service(str(folder / "ledger.db"), secrets=folder / "secrets", **more) as service,
        ):
            app = create_app(service, tokens)
            serving = Serving(app, "127.0.0.1", 0, front_of(app))
            try:
                yield Served(service, serving.url, receiver, session, tokens)
            finally:
                serving.drain(10)
                serving.close()
