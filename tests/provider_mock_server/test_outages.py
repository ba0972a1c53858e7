"""The server while its database hangs, is locked, or is taken away: it says so, accepts nothing, and goes on afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import requests
from im_callback.provider_mock import providers

from benchmarks.kills import REFUSED, Receiver
from tests.programs import needed
from tests.provider_mock_ledger.postgres import Cluster, cluster, programs
from tests.provider_mock_server.running import Running, running
from tests.provider_mock_server.waiting import until

pytestmark = pytest.mark.long

CONFIG = """
[apps.shop]
provider = "commsease"
endpoint = "{url}"
policy = "reliable"
"""
SAMPLE = dict(providers.load("commsease").catalogue["commsease.login"].examples[0])
CROWD = 20
"""Calls at once: more than the server has threads."""


@dataclass
class Scene:
    """A server, the receiver of its deliveries, and what was answered to those who posted events."""

    server: Running
    receiver: Receiver
    accepted: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    in_doubt: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1, REFUSED))

    def ask(self, path: str) -> requests.Response:
        """Return the answer to a request."""
        with requests.Session() as session:
            session.trust_env = False
            return session.get(f"{self.server.url}{path}", timeout=120)

    def post(self, number: int = 1) -> requests.Response:
        """Hand in events and remember what was said of them."""
        names = [f"user-{next(self._numbers)}" for _ in range(number)]
        body = {"events": [{"type": "commsease.login", "payload": {**SAMPLE, "accid": name}} for name in names]}
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(f"{self.server.url}/api/v1/apps/shop/events", json=body, timeout=120)
        if answer.status_code == 202:
            self.accepted.update(names)
        else:
            assert 503 == answer.status_code, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            unknown = "may be stored" in answer.json()["detail"]
            (self.in_doubt if unknown else self.refused).update(names)
        return answer

    def trouble(self) -> str:
        """Return why the server is not ready, once it is not."""
        (reason,) = until(lambda: self.ask("/readyz").json()["reasons"])
        return str(reason)

    def ready(self) -> bool:
        """Return once the server is ready."""
        return until(lambda: self.ask("/readyz").status_code, 200) == 200

    def settled(self) -> None:
        """Return once everything that was accepted has arrived, and nothing twice; what was refused has not."""
        assert until(lambda: self.accepted <= set(self.receiver.seen))
        until(lambda: 'provider_mock_deliveries{app="shop",state="waiting"} 0.0' in self.ask("/metrics").text)
        assert {1} == set(self.receiver.seen.values())
        assert not self.refused.intersection(self.receiver.seen)
        assert set(self.receiver.seen) <= self.accepted | self.in_doubt


@contextmanager
def scene(folder: Path, database: str) -> Iterator[Scene]:
    """Run a server on a database."""
    receiver = Receiver()
    with receiver.listening() as url:
        (folder / "mock.toml").write_text(CONFIG.format(url=url))
        with running("--database", database, "--config", str(folder / "mock.toml")) as server:
            yield Scene(server, receiver)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Cluster]:
    """A server that only this module's tests stop."""
    needed("initdb")
    found = programs()
    assert found is not None
    with cluster(found) as server:
        yield server


def probes_answer(scene: Scene, calls: list[Future[requests.Response]]) -> None:
    """See that monitoring is answered at once, while those calls wait for the database."""
    for _ in range(3):
        assert "alive\n" == scene.ask("/healthz").text
        assert 503 == scene.ask("/readyz").status_code
        assert "provider_mock_ready 0.0" in scene.ask("/metrics").text
    assert any(not call.done() for call in calls)


class TestPostgresqlStopped:
    """All its processes stand still."""

    def test_goes_on_afterwards(self, tmp_path: Path, postgresql: Cluster) -> None:
        """Calls end in time with 503, monitoring is answered meanwhile, nothing is lost and nothing sent twice."""
        with scene(tmp_path, postgresql.new_database()) as here, ThreadPoolExecutor(CROWD) as pool:
            here.post(200)
            with postgresql.stopped():
                calls = [pool.submit(here.post) for _ in range(CROWD)]
                assert "answer" in here.trouble()
                probes_answer(here, calls)
                assert {503} == {call.result().status_code for call in calls}
                # By now it is known, and a crowd does not have to wait in turn.
                assert {503} == {call.result().status_code for call in [pool.submit(here.post) for _ in range(100)]}
                for path in ("/api/v1/deliveries", "/api/v1/deliveries/1", "/api/v1/apps/shop/backlog"):
                    answer = here.ask(path)
                    assert (503, True) == (answer.status_code, "Retry-After" in answer.headers)
            assert here.ready()
            assert 202 == here.post(50).status_code
            here.settled()

    def test_ends_when_it_is_asked_to(self, tmp_path: Path, postgresql: Cluster) -> None:
        """In bounded time, and what was accepted is delivered by the next one."""
        database = postgresql.new_database()
        with scene(tmp_path, database) as here:
            here.post(10)
            with postgresql.stopped():
                here.trouble()
                here.server.end()
                assert "Traceback" not in here.server.log
        names = here.accepted
        with scene(tmp_path, database) as here:
            here.post()
            assert until(lambda: here.accepted <= set(here.receiver.seen))
            assert len(names) == 10


class TestLocked:
    """Another program holds the lock on the file."""

    def test_goes_on_afterwards(self, tmp_path: Path) -> None:
        """For longer than anybody waits, under 1,000 deliveries."""
        path = tmp_path / "mock.db"
        with scene(tmp_path, str(path)) as here, ThreadPoolExecutor(4) as pool:
            here.post(1000)
            with closing(sqlite3.connect(path, isolation_level=None, timeout=60)) as other:
                other.execute("BEGIN EXCLUSIVE")
                calls = [pool.submit(here.post) for _ in range(4)]
                assert "database is locked; end what holds its lock" in here.trouble()
                assert 200 == here.ask("/api/v1/deliveries").status_code
                assert {503} == {call.result().status_code for call in calls}
                other.execute("ROLLBACK")
            assert here.ready()
            assert 202 == here.post(20).status_code
            here.settled()


class TestTaken:
    """Somebody takes the file away under it."""

    def test_put_back(self, tmp_path: Path) -> None:
        """It goes on by itself."""
        path, away = tmp_path / "mock.db", tmp_path / "away.db"
        with scene(tmp_path, str(path)) as here:
            here.post(300)
            path.rename(away)
            assert f"{path} was deleted or moved away; put the file back" in here.trouble()
            answer = here.post()
            assert f"the ledger {path} was deleted or moved away" in answer.json()["detail"]
            assert 503 == here.ask("/api/v1/deliveries").status_code
            assert "alive\n" == here.ask("/healthz").text
            away.rename(path)
            assert here.ready()
            assert 202 == here.post(20).status_code
            here.settled()

    @pytest.mark.parametrize("how", ["deleted", "replaced"])
    def test_for_good(self, how: str, tmp_path: Path) -> None:
        """Nothing is accepted or delivered any more; nothing is made in its place; it ends when asked to."""
        path = tmp_path / "mock.db"
        with scene(tmp_path, str(path)) as here:
            here.post(5)
            here.settled()
            if how == "deleted":
                path.unlink()
            else:
                (tmp_path / "draft").write_bytes(path.read_bytes())
                (tmp_path / "draft").replace(path)
            said = "was deleted or moved away" if how == "deleted" else "was replaced by another file"
            assert said in here.trouble()
            for _ in range(3):
                assert said in here.post().json()["detail"]
            assert 5 == len(here.receiver.seen)
            here.server.end()
            assert path.exists() == (how == "replaced")


class TestFolders:
    """What the server keeps is for this user alone."""

    def test_whatever_the_umask(self, tmp_path: Path) -> None:
        """The database and what lies beside it."""
        import os

        before = os.umask(0)
        try:
            with scene(tmp_path, str(tmp_path / "mock.db")) as here:
                here.post()
                found = {one.name: oct(one.stat().st_mode & 0o777) for one in tmp_path.glob("mock.db*")}
        finally:
            os.umask(before)
        assert dict.fromkeys(("mock.db", "mock.db-wal", "mock.db-shm", "mock.db.lock"), "0o600") == found
