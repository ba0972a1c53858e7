"""Locust itself, as teams run it: with our locustfile, or with one of their own that builds on our user."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock.load import processes

from tests.provider_mock.peers import OK, peer, receiver
from tests.provider_mock_load.running import ENOUGH, Ran, ended, quiet_port, start
from tests.provider_mock_server.waiting import until

OURS = processes.LOCUSTFILE.with_name("locustfile.py")
KEY, SECRET = "key-of-this-test", "s3cr3t-of-this-test"
FEW = 6
OWN = f"""
import os
from itertools import islice
from pathlib import Path

from locust.exception import StopUser

from im_callback.provider_mock.load.user import CallbackUser


class Few(CallbackUser):
    def story(self):
        Path(os.environ["SEEN"], str(os.getpid())).touch()
        yield from islice(super().story(), {FEW})
        raise StopUser
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run in, without settings for Locust."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "seen").mkdir()
    return tmp_path


class TestDistributed:
    """A master and two workers, each a process of its own."""

    def test_shares(self, folder: Path) -> None:
        """Both workers send, all of it verifies, and the master's numbers are what the receiver saw."""
        Path("own.py").write_text(OWN)
        port = str(quiet_port())
        more = {"IM_APP_SECRET": SECRET, "SEEN": str(folder / "seen")}
        with receiver("rongcloud", KEY, SECRET) as served:
            run = (
                "--headless",
                "--stop-timeout",
                "30",
                "--users",
                "4",
                "--spawn-rate",
                "4",
                "--run-time",
                str(ENOUGH),
                "-H",
                served.url,
            )
            callbacks = ("--provider", "rongcloud", "--app-key", KEY, "--seed", "7")
            master = start(
                *("-m", "locust", "-f", "own.py", "--master", "--master-bind-host", "127.0.0.1"),
                *("--master-bind-port", port, "--expect-workers", "2", "--json-file", "result"),
                *(*run, *callbacks),
                more=more,
            )
            # What the master was given reaches the workers; the secret is in their environment alone.
            worker = ("-m", "locust", "-f", "own.py", "--worker", "--master-port", port)
            workers = [start(*worker, more=more) for _ in range(2)]
            assert 4 * FEW == until(lambda: len(served.accepted), 4 * FEW, ENOUGH)
            master.send_signal(signal.SIGINT)
            ran = [ended(process) for process in (master, *workers)]
        assert [0, 0, 0] == [one.status for one in ran], ran[0].err
        (result,) = Path().glob("result*")
        (row,) = json.loads(result.read_text())
        assert "rongcloud.chatroom-kv" == row["name"]
        assert (4 * FEW, 0) == (row["num_requests"], row["num_failures"])
        assert (4 * FEW, 0) == (len(set(served.accepted)), served.refused)
        assert {str(process.pid) for process in workers} == set(os.listdir("seen"))
        # Each user has a story of its own.
        assert 4 == len({json.loads(body)[0]["chatroomId"].split("-")[1] for body in served.accepted})
        assert not any(SECRET in text for one in ran for text in (one.out, one.err))


class TestFailures:
    """A receiver that refuses, watched in the browser."""

    def test_refused(self, folder: Path) -> None:
        """Failures are listed under the provider's rule; the secret is in no page and no report; exit status 1."""
        port = quiet_port()
        with receiver("rongcloud", KEY, "another secret") as served:
            process = start(
                *("-m", "locust", "-f", str(OURS), "--provider", "rongcloud", "--app-key", KEY, "-H", served.url),
                *("--autostart", "--users", "1", "--web-host", "127.0.0.1", "--web-port", str(port)),
                *("--html", "report.html"),
                more={"IM_APP_SECRET": SECRET},
            )
            try:
                failures = self.failures(f"http://127.0.0.1:{port}/stats/requests")
                page = requests.get(f"http://127.0.0.1:{port}/", timeout=ENOUGH).text
            finally:
                process.send_signal(signal.SIGINT)
                ran = ended(process)
        (failure,) = failures
        assert "rongcloud.chatroom-kv" == failure["name"]
        assert "status 401; RongCloud takes 200 as received" == failure["error"]
        assert 1 == ran.status
        report = Path("report.html").read_text()
        assert "status 401; RongCloud takes 200 as received" in report
        assert KEY in page
        assert not any(SECRET in text for text in (page, report, ran.out, ran.err))

    def failures(self, url: str) -> list[dict[str, str]]:
        """Return the failures, as soon as there are some."""
        session = requests.Session()
        session.mount(url, requests.adapters.HTTPAdapter(max_retries=0))
        until = time.monotonic() + ENOUGH
        while time.monotonic() < until:
            try:
                found: list[dict[str, str]] = session.get(url, timeout=ENOUGH).json()["errors"]
            except requests.ConnectionError:
                continue
            if found:
                return found
        raise AssertionError("no failure was listed")


class TestArguments:
    """What Locust says to values that cannot be used."""

    @pytest.mark.parametrize(
        ("arguments", "secret", "said"),
        [
            (("--provider", "nobody"), SECRET, "argument --provider: invalid choice: 'nobody'"),
            (("--duplicate", "2"), SECRET, "argument --duplicate: 2: give a share from 0 to 1, such as 0.01"),
            ((), "", "error: the app secret (IM_APP_SECRET): it is empty; give it"),
        ],
    )
    def test_refused(self, folder: Path, arguments: tuple[str, ...], secret: str, said: str) -> None:
        """It ends at once, and says what is wrong."""
        with peer(OK) as served:
            ran: Ran = ended(
                start(
                    *("-m", "locust", "-f", str(OURS), "--headless", "--run-time", "1", "-H", served.url, *arguments),
                    more={"IM_APP_SECRET": secret},
                )
            )
        assert 0 != ran.status
        assert said in ran.err
        assert [] == served.requests
