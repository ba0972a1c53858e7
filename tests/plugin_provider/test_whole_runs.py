"""Whole runs of pytest against receivers of a provider from outside, in a folder of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from im_callback.conformance.check import all_checks

from tests.plugin.processes import Ended, pytest_in
from tests.plugin_provider.receivers import History, Hooks, LetsTheLastWin, LooksAtTheFirst
from tests.plugin_provider.test_checks import IDS
from tests.receivers.serving import serve

pytestmark = pytest.mark.long

PAGE = 50


@contextmanager
def effects(receiver: Hooks) -> Iterator[str]:
    """Show what a receiver recorded in pages, and give the address of the first."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(parse_qs(urlsplit(self.path).query).get("from", ["0"])[0])
            records = receiver.effects()
            page = {"data": records[start : start + PAGE]}
            if start + PAGE < len(records):
                page["next"] = f"?from={start + PAGE}"
            body = json.dumps(page).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        loop = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        loop.start()
        try:
            yield f"paged:http://127.0.0.1:{server.server_address[1]}/effects"
        finally:
            server.shutdown()
            loop.join()


def checked(kind: type[Hooks], site: Path, folder: Path, *options: str) -> Ended:
    """Return what a run against a receiver comes to, its effects read by the package's own source."""
    receiver = kind()
    with serve(receiver) as url, effects(receiver) as shown:
        return pytest_in(
            folder,
            f"--receiver-url={url}",
            "--receiver-provider=acme",
            f"--receiver-effects={shown}",
            "--receiver-settle=0.5",
            *options,
            PYTHONPATH=str(site),
        )


@pytest.mark.parametrize(
    ("kind", "handles"),
    [
        (Hooks, ["acme.presence-changed/online", "acme.presence-changed/away"]),
        (History, ["acme.presence-changed"]),
    ],
)
def test_good(kind: type[Hooks], handles: list[str], site: Path, tmp_path: Path) -> None:
    """It passes, and all checks that fit have run."""
    ended = checked(kind, site, tmp_path, "--receiver-feed=events")
    assert ended.status == 0, ended.output
    around = {f"acme.{one.family}.{one.slug}" for one in all_checks() if one.option}
    asked = {name: verdict for name, verdict in ended.verdicts.items() if name not in around}
    assert {f"acme.{name}": "pass" for name in IDS} == asked
    # Who has left is nowhere to be seen where the newest states are kept.
    assert ["acme.message-created", *handles] == ended.result["handles"]


def test_two_secrets(site: Path, tmp_path: Path) -> None:
    """So does a receiver that knows one of two secrets, and no secret is shown."""
    secrets = "whsec_bmV3LXNlY3JldA== whsec_dGVzdC1zZWNyZXQtb2YtMjQtYnl0ZXM="
    ended = checked(Hooks, site, tmp_path, f"--receiver-app-secret={secrets}", "--receiver-check=acme.signature.*")
    assert ended.status == 0, ended.output
    assert "bmV3LXNlY3JldA" not in ended.output + (tmp_path / "result.json").read_text(encoding="utf-8")


def test_broken(site: Path, tmp_path: Path) -> None:
    """A broken one is named by the checks of the order, with a source of its provider."""
    ended = checked(LetsTheLastWin, site, tmp_path, "--receiver-check=acme.ordering.*")
    assert ended.status == 1, ended.output
    failed = {name.removeprefix("acme.") for name, verdict in ended.verdicts.items() if verdict == "fail"}
    assert LetsTheLastWin.caught_by == failed
    assert ended.result is not None
    found = [one["source"] for one in ended.result["checks"] if one["verdict"] == "fail"]
    assert {"Acme, Event hooks: version and sequence"} == set(found)


def test_own_check(site: Path, tmp_path: Path) -> None:
    """The package's own check stands in the report as ours do, and its lines for the shell show the harm again."""
    receiver = LooksAtTheFirst()
    with serve(receiver) as url:
        ended = pytest_in(
            tmp_path,
            f"--receiver-url={url}",
            "--receiver-provider=acme",
            "--receiver-check=acme.rotation.*",
            PYTHONPATH=str(site),
        )
        assert ended.status == 1, ended.output
        assert {
            "acme.rotation.accepts-any-of-several": "fail",
            "acme.rotation.rejects-none-of-several": "pass",
        } == ended.verdicts
        assert "Split the header at the spaces" in ended.output
        (found,) = (one for one in ended.result["checks"] if one["verdict"] == "fail")
        assert found["exchanges"]
