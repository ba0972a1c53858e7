"""The fixtures `provider_mock` and `im_app` in a team's own tests, by a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.plugin.processes import SECONDS, environment

CONFTEST = """
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

@pytest.fixture(scope="session")
def receiver():
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()

@pytest.fixture
def im_app_settings(receiver):
    return {"provider": "commsease", "endpoint": f"http://127.0.0.1:{receiver.server_port}/cb"}
"""
TESTS = """
def test_taken(im_app, receiver):
    im_app.send("login")
    im_app.verify("login", exactly=1)
    assert receiver.seen

def test_starts_with_nothing(im_app, provider_mock):
    assert [] == list(im_app.deliveries())
    assert im_app.server is provider_mock

def test_never_sent(im_app):
    im_app.send("login")
    im_app.verify("logout", within_seconds=0)
"""
LIGHT = """
import sys

def test_light():
    loaded = {name for name in sys.modules if name.startswith("im_callback.")}
    assert "im_callback.conformance.mock_fixtures" in loaded
    assert not {name for name in loaded if "provider_mock" in name or name.endswith("mock_process")}
    assert "requests" not in sys.modules
"""


def run(folder: Path, **files: str) -> tuple[int, str]:
    """Return exit status and output of a pytest over these files."""
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-W", "error"],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_at_work(tmp_path: Path) -> None:
    """One server for the session, an app for each test, and words for what did not come about."""
    status, output = run(tmp_path, conftest=CONFTEST, test_it=TESTS)
    assert 1 == status, output
    assert "1 failed, 2 passed" in output
    assert "0 found, at least 1 expected" in output
    assert 'event_type is "commsease.login", not "commsease.logout"' in output


def test_light_when_unused(tmp_path: Path) -> None:
    """Who does not use them pays nothing for them."""
    status, output = run(tmp_path, test_it=LIGHT)
    assert 0 == status, output


def test_not_told(tmp_path: Path) -> None:
    """Who does not say where the receiver is, is told how."""
    status, output = run(tmp_path, test_it="def test_it(im_app):\n    pass\n")
    assert 1 == status
    assert "override the fixture im_app_settings in a conftest.py" in output
