"""`provider-mock redeliver` and `backlog` against a running server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock.commands import backlog
from im_callback.provider_mock.commands.shared import printed

from tests.commands import Run
from tests.provider_mock.peers import OK, Script, answers, peer, unused_port
from tests.provider_mock_server.served import TOKEN, Served, served

LOGIN = "commsease.login"
PARKING = {
    "provider": "commsease",
    "endpoint": "http://127.0.0.1:9/cb",
    "policy": "reliable",
    "options": {"retries": 0},
}
REFUSED = answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")


@dataclass
class Desk:
    """A server, and what its receiver answers next."""

    server: Served
    reply: Script = REFUSED

    def parked(self, app: str, number: int) -> list[int]:
        """Return the ids of deliveries that are parked, of an app that parks at once."""
        self.reply = REFUSED
        self.server.ask("PUT", f"/apps/{app}", PARKING)
        ids = self.server.accept(app, *([LOGIN] * number))
        self.server.settled(ids, "parked")
        self.reply = OK
        return ids


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A server whose receiver can change its mind."""

    def reply(connection: socket.socket, data: bytes) -> None:
        running.reply(connection, data)

    with served(tmp_path_factory.mktemp("server"), script=reply) as server:
        running = Desk(server)
        yield running


class TestRedeliver:
    """Deliveries are sent again by their ids or by what they have in common."""

    def test_ids(self, desk: Desk, run: Run) -> None:
        """Each id once, also when it is given twice."""
        ids = desk.parked("by-id", 3)
        ran = run("redeliver", *map(str, [*ids, ids[0]]), "--server", desk.server.url)
        assert (0, [{"redelivered": 3}]) == (ran.status, ran.lines)
        desk.server.settled(ids, "acked")

    def test_unknown_id(self, desk: Desk, run: Run) -> None:
        """An id that is not on record is told, and the exit status is 1."""
        ids = desk.parked("unknown", 1)
        ran = run("redeliver", str(ids[0]), "999999999", "--server", desk.server.url)
        assert (1, [{"redelivered": 1}]) == (ran.status, ran.lines)
        assert "error: 1 ID is not on record, of 2; see those of the app's deliveries in the API\n" == ran.err

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            (["--state", "parked"], 2),
            (["--state", "acked"], 0),
            (["--event-type", LOGIN, "--outcome", "refused"], 2),
            (["--outcome", "timed out"], 0),
            (["--since", "2020-01-01", "--until", "2100-01-01T00:00:00+08:00"], 2),
            (["--since", "2100-01-01T00:00:00Z"], 0),
            (["--until", "1700000000000"], 0),
        ],
        ids=str,
    )
    def test_chosen(self, desk: Desk, run: Run, options: list[str], count: int, request: Any) -> None:
        """All for which every option holds."""
        app = f"chosen-{abs(hash(request.node.nodeid))}"
        desk.parked(app, 2)
        ran = run("redeliver", "--app", app, *options, "--server", desk.server.url)
        assert (0, [{"redelivered": count}]) == (ran.status, ran.lines)

    def test_for_people(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal it is a sentence."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        ids = desk.parked("people", 1)
        assert "1 delivery is sent again\n" == run("redeliver", str(ids[0]), "--server", desk.server.url).out

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "give either the IDs of deliveries, or options that choose them"),
            (["1", "--app", "a"], "give either the IDs of deliveries, or options that choose them"),
            (["0"], "ID 0: give a whole number from 1"),
            (["--since", "yesterday"], "yesterday is no time; give one such as 2026-01-31T12:00:00"),
            (["--state", "ackd"], '--state: it is "ackd"; give one of waiting, acked, declined, dropped, parked'),
            (["--app", "a b"], "--app: it is "),
            (["--outcome", "timeout"], "give one of acked, declined, refused, timed out, unreachable"),
        ],
        ids=str,
    )
    def test_mistakes(self, desk: Desk, run: Run, arguments: list[str], said: str) -> None:
        """Each mistake is one line with the fix."""
        ran = run("redeliver", *arguments, "--server", desk.server.url)
        assert (2, "") == (ran.status, ran.out)
        assert said in ran.err
        assert 1 == ran.err.count("\n")


class TestBacklog:
    """What is parked is shown and released."""

    def test_show(self, desk: Desk, run: Run) -> None:
        """The parked deliveries come as JSON lines, up to a number."""
        ids = desk.parked("shown", 4)
        ran = run("backlog", "show", "shown", "--server", desk.server.url)
        assert sorted(ids) == sorted(one["id"] for one in ran.lines)
        assert 2 == len(run("backlog", "show", "shown", "--limit", "2", "--server", desk.server.url).lines)

    def test_show_for_people(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal each is a line, and the last one counts them."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        ids = desk.parked("told", 1)
        lines = run("backlog", "show", "told", "--server", desk.server.url).out.splitlines()
        assert lines[0].lstrip().startswith(f"{ids[0]} ")
        assert lines[0].endswith(f"{LOGIN}  1 attempt, refused")
        assert "1 parked" == lines[1]

    def test_release(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """All are released, part by part, with a line for each part and one for the whole."""
        monkeypatch.setattr(backlog, "AT_ONCE", 2)
        ids = desk.parked("drained", 5)
        ran = run("backlog", "release", "drained", "--server", desk.server.url)
        assert 0 == ran.status
        assert [
            {"released": 2, "so_far": 2},
            {"released": 2, "so_far": 4},
            {"released": 1, "so_far": 5},
            {"summary": True, "released": 5},
        ] == ran.lines
        desk.server.settled(ids, "acked")

    @pytest.mark.parametrize(("limit", "released"), [(1, 1), (3, 3), (9, 4)])
    def test_release_some(self, desk: Desk, run: Run, limit: int, released: int) -> None:
        """No more than the limit."""
        app = f"some-{limit}"
        desk.parked(app, 4)
        ran = run("backlog", "release", app, "--limit", str(limit), "--server", desk.server.url)
        assert {"summary": True, "released": released} == ran.lines[-1]

    def test_bar(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """On a terminal there is a bar, and one line at the end."""
        monkeypatch.setattr(printed, "for_people", lambda as_json: not as_json)
        monkeypatch.setattr(backlog, "_on_terminal", lambda: True)
        desk.parked("barred", 2)
        ran = run("backlog", "release", "barred", "--server", desk.server.url)
        assert (0, "2 released\n") == (ran.status, ran.out)
        assert "Releasing" in ran.err

    @pytest.mark.parametrize("command", ["show", "release"])
    def test_no_such_app(self, desk: Desk, run: Run, command: str) -> None:
        """An app that does not exist is one line."""
        ran = run("backlog", command, "nobody", "--server", desk.server.url)
        assert (2, "") == (ran.status, ran.out)
        assert "there is no app 'nobody'" in ran.err

    def test_hostile_name(self, desk: Desk, run: Run) -> None:
        """A name is a name, not a path."""
        ran = run("backlog", "show", "../../clock", "--server", desk.server.url)
        assert 2 == ran.status


class TestServer:
    """Which server, with which token, and what if it is another."""

    def test_nobody_there(self, run: Run) -> None:
        """Where nobody listens, the line says how to start one."""
        ran = run("redeliver", "1", "--server", f"http://127.0.0.1:{unused_port()}")
        assert 2 == ran.status
        assert "start it with: provider-mock serve" in ran.err
        assert 1 == ran.err.count("\n")

    def test_from_the_environment(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment can name it."""
        monkeypatch.setenv("PROVIDER_MOCK_SERVER", desk.server.url)
        desk.parked("environment", 1)
        assert 1 == len(run("backlog", "show", "environment").lines)

    @pytest.mark.parametrize(
        "reply",
        [
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot here!",
            b'HTTP/1.1 500 Oh\r\nContent-Length: 9\r\n\r\n{"a": {}}',
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        ],
        ids=repr,
    )
    def test_somebody_else(self, run: Run, reply: bytes) -> None:
        """What is no server of ours is told so."""
        with peer(answers(reply)) as other:
            ran = run("redeliver", "1", "--server", f"http://127.0.0.1:{other.port}")
        assert 2 == ran.status
        assert "is no server of provider-mock" in ran.err
        assert 1 == ran.err.count("\n")

    def test_token(self, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The token comes from a file or from the environment, and is in no message."""
        right, wrong, empty = tmp_path / "right", tmp_path / "wrong", tmp_path / "empty"
        right.write_text(f"{TOKEN}\n")
        wrong.write_text("hush-4714")
        empty.write_text("\n")
        with served(tmp_path / "server", token=TOKEN) as server:
            server.ask("PUT", "/apps/a", PARKING)
            show = ("backlog", "show", "a", "--server", server.url)
            assert 0 == run(*show, "--token-file", str(right)).status
            for arguments, said in (
                (show, "wants its token; give --token-file FILE, or set PROVIDER_MOCK_TOKEN"),
                ((*show, "--token-file", str(wrong)), "refuses the token of --token-file"),
                ((*show, "--token-file", str(empty)), "is empty"),
            ):
                ran = run(*arguments)
                assert 2 == ran.status
                assert said in ran.err
                assert "hush" not in ran.err
            monkeypatch.setenv("PROVIDER_MOCK_TOKEN", TOKEN)
            assert 0 == run(*show).status

    def test_proxies_are_not_asked(self, desk: Desk, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment's proxy is not used."""
        desk.parked("direct", 1)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")
        assert 1 == len(run("backlog", "show", "direct", "--server", desk.server.url).lines)
