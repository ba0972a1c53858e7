"""What every command says of what was typed wrongly: the value, the fix and, where one is near, the right word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Run, leaves
from tests.provider_mock.peers import answers, peer, unused_port

TO = ("--to", "http://127.0.0.1:9/callbacks")
CHECK = ("check", *TO)
LOGIN = ("send", "commsease.login", *TO)
#: Of each command what was typed, the value that the error names, and its fix: with the nearest word if one is near.
MISTAKES = [
    ("smaple", "command 'smaple'", "did you mean 'sample'?"),
    ("zzz", "command 'zzz'", "there are backlog, "),
    ("record", "--listen is missing", "give --listen PORT"),
    ("replay", "FILE is missing", "give it"),
    ("replay no-file --to http://127.0.0.1:9/", "no-file", "give a recording, or pipe one in"),
    ("validate commsease --recording no-file", "no-file", "give a recording, or pipe one in"),
    ("--verzion", "--verzion", "did you mean '--version'?"),
    ("events comsease", "'comsease'", "did you mean 'commsease'? there are commsease, rongcloud, tencent"),
    ("events zzz", "'zzz'", "choose one of: commsease, rongcloud, tencent"),
    ("events --wire", "--wire", "did you mean '--wires'?"),
    ("events commsease more", "more", "leave it out"),
    ("sample", "EVENT-TYPE", "give it"),
    ("sample login", "'login'", "did you mean 'commsease.login'?"),
    ("sample commsease.logn", "'commsease.logn'", "did you mean 'commsease.login'?"),
    ("sample comsease.login", "'comsease.login'", "did you mean 'commsease.login'?"),
    ("sample rongcloud.chatroom-kvs", "'rongcloud.chatroom-kvs'", "did you mean 'rongcloud.chatroom-kv'?"),
    ("sample zzz", "'zzz'", "provider-mock events lists them"),
    ("sample commsease", "'commsease' is a provider", "provider-mock events commsease lists them"),
    ("sample commsease.login --count 0", "--count 0", "a whole number from 1"),
    ("sample commsease.login --count some", "--count some", "a whole number from 1"),
    ("sample commsease.login --seed x", "--seed x", "a whole number"),
    ("sample commsease.login --variant TEAM", "'TEAM'", "leave --variant out"),
    ("sample commsease.conversation --variant TEAM/TXT", "'TEAM/TXT'", "did you mean 'TEAM/TEXT'?"),
    ("send login --to http://127.0.0.1:9/", "'login'", "did you mean 'commsease.login'?"),
    ("send login --provider comsease --to http://127.0.0.1:9/", "'comsease.login'", "did you mean 'commsease.login'?"),
    ("send commsease.login", "--to", "give --to URL"),
    ("send commsease.login --to", "--to", "requires an argument"),
    ("send commsease.login --to localhost", "'localhost'", "http://host:port/path"),
    ("send commsease.login --provider rongcloud --to http://127.0.0.1:9/", "commsease.login", "leave --provider out"),
    ([*LOGIN, "--faul", "stale"], "--faul", "did you mean '--fault'?"),
    ([*LOGIN, "--fault", "dup"], "'dup'", "did you mean 'duplicate', 'duplicate-concurrently' or 'duplicate-later'?"),
    ([*LOGIN, "--fault", "zzz"], "'zzz'", "provider-mock faults lists them"),
    ([*LOGIN, "--fault", "duplicate:time=2"], "'time'", "did you mean 'times'?"),
    ([*LOGIN, "--fault", "duplicate:times=x"], "times=x", "such as times=1"),
    ([*LOGIN, "--fault", "stale:on=frst"], "on=frst", "such as on=first"),
    ([*LOGIN, "--fault", "drop-parameter:parameter=CheckSm"], "'CheckSm'", "did you mean 'CheckSum'?"),
    ([*LOGIN, "--set", "accid=1"], "accid=1", "write '/accid'"),
    ([*LOGIN, "--set", "/accid"], "/accid", "give it as /pointer=value"),
    ([*LOGIN, "--set", "/eventType=abc"], "/eventType", 'due is "2"'),
    ([*LOGIN, "--app-secret", ""], "--app-secret", "leave it out for the test secret"),
    ([*LOGIN, "--count", "0"], "--count 0", "a whole number from 1"),
    ("sign comsease", "'comsease'", "did you mean 'commsease'?"),
    ("sign commsease --feed datasync", "'datasync'", "did you mean 'data-sync'?"),
    ("sign commsease no-file", "no-file", "give a file with a request body"),
    ("sign commsease --at now", "--at now", "a whole number from 0"),
    ("verify commsease --header x", "--header x", "NAME:VALUE"),
    ("verify commsease --at -1", "--at -1", "a whole number from 0"),
    ("verify commsease --attempt", "FILE", "/attempts answers"),
    ("verify commsease no-file", "no-file", "give a file with a request body"),
    ("validate comsease", "'comsease'", "did you mean 'commsease'?"),
    ("validate commsease --feed datasync", "'datasync'", "did you mean 'data-sync'?"),
    ("validate commsease no-file", "no-file", "give a file with a request body"),
    ("validate commsease", "it is empty", "give a request body"),
    ("faults more", "more", "leave it out"),
    ("explain", "CHECK-ID", "give it"),
    ("explain rejects-tamperd-body", "'rejects-tamperd-body'", "did you mean 'signature.rejects-tampered-body'?"),
    ("explain zzz", "'zzz'", "provider-mock check --list lists them"),
    ("explain comsease.signature.rejects-stale", "'comsease'", "did you mean 'commsease'?"),
    ("explain rongcloud.signature.rejects-tampered-body", "no feed of rongcloud", "it holds at commsease"),
    ("traffic", "--to", "give --to URL"),
    (["traffic", *TO], "--rate", "give --rate N"),
    (["traffic", *TO, "--rate", "0", "--duration", "1"], "--rate 0", "up to 10000, such as --rate 10"),
    (["traffic", *TO, "--rate", "1", "--duration", "x"], "--duration x", "such as --duration 10"),
    (["traffic", *TO, "--rate", "1", "--duration", "1", "--feed", "thirdparty"], "'thirdparty'", "'third-party'"),
    (["traffic", *TO, "--rate", "1", "--duration", "1", "--provider", "rongclud"], "'rongclud'", "'rongcloud'"),
    ("load", "--to", "give --to URL"),
    (["load", *TO, "--users", "0"], "--users 0", "a whole number from 1"),
    (["load", *TO, "--duplicate", "2"], "--duplicate 2", "a number from 0 up to 1"),
    (["load", *TO, "--users", "1", "--workers", "2"], "--users 1", "one user at least"),
    (["load", *TO, "--engine", "--workers", "2"], "--engine", "leave --workers out"),
    ("serve --port 99999", "--port 99999", "from 0 up to 65535"),
    ("serve --keep 0", "--keep 0", "a number of days above 0 up to 36500"),
    ("serve --scale x", "--scale x", "a number above 0 up to 1000000"),
    ("serve --config no-file", "no-file", "give the path of a TOML file"),
    ("serve --host 0.0.0.0", "--host 0.0.0.0", "--token-file FILE"),
    ("serve --database mysql://x", "mysql://x", "postgresql://"),
    ("redeliver", "IDs of deliveries", "such as --app NAME"),
    ("redeliver x", "ID x", "a whole number from 1"),
    ("redeliver 1 --app shop", "IDs of deliveries", "such as --app NAME"),
    ("redeliver --since yesterday", "yesterday", "2026-01-31T12:00:00"),
    ("redeliver --server localhost 1", "'localhost'", "http://host:port/path"),
    ("redeliver 1 --token-file no-file", "no-file", "give a file with the server's token"),
    ("backlog shw", "'shw'", "did you mean 'show'?"),
    ("backlog show", "APP", "give it"),
    ("backlog show shop --limit 0", "--limit 0", "a whole number from 1"),
    ("backlog release", "APP", "give it"),
    ("backlog release shop --limit x", "--limit x", "a whole number from 1"),
    ("demo now", "now", "leave it out"),
    ("check", "--to", "give the address that callbacks are posted to"),
    ("check --effect x", "--effect", "did you mean '--effects'"),
    ("check --to localhost", "--to=localhost", "as in http://127.0.0.1:8080/callbacks"),
    ([*CHECK, "--provider", "comsease"], "--provider=comsease", "did you mean 'commsease'?"),
    ([*CHECK, "--feed", "datasync"], "--feed=datasync", "did you mean 'data-sync'?"),
    ([*CHECK, "--wire", "java"], "--wire=java", "did you mean 'java-hashmap'?"),
    ([*CHECK, "--handles", "login"], "--handles=login", "did you mean 'commsease.login'?"),
    ([*CHECK, "--handles", "commsease.conversation/TEAM"], "'TEAM'", "did you mean 'TEAM/*'?"),
    ([*CHECK, "--handles", "commsease.conversation/TEAM/TXT"], "'TEAM/TXT'", "did you mean 'TEAM/TEXT'?"),
    ([*CHECK, "--level", "shuold"], "--level=shuold", "did you mean 'should'?"),
    ([*CHECK, "--check", "*.sgnature.*"], "--check=*.sgnature.*", "did you mean '*.signature.*'?"),
    ([*CHECK, "--check", "zzz"], "--check=zzz", "list them with: provider-mock check --list"),
    ([*CHECK, "--effects", "redi://x"], "'redi'", "did you mean 'redis' or 'rediss'?"),
    ([*CHECK, "--effects-map", "jsn(body)"], "jsn", "did you mean 'json'?"),
    ([*CHECK, "--set", "/acid=1"], "--set=/acid=1", "did you mean '/accid'?"),
    ([*CHECK, "--set", "login:/accid=1"], "'login'", "did you mean 'commsease.login'?"),
    ([*CHECK, "--checks-as-of", "0.0.1"], "--checks-as-of=0.0.1", "choose one of: 0.1.0"),
    ([*CHECK, "--baseline", "none.json"], "--baseline=none.json", "correct its path"),
    ([*CHECK, "--settle", "x"], "--settle=x", "give seconds"),
    ([*CHECK, "--seed", "x"], "--seed=x", "give a whole number"),
]


def _words(typed: str | list[str]) -> list[str]:
    return typed.split() if isinstance(typed, str) else list(typed)


@pytest.mark.parametrize(("typed", "value", "fix"), MISTAKES, ids=[" ".join(_words(one[0])) for one in MISTAKES])
def test_mistake(run: Run, typed: str | list[str], value: str, fix: str, tmp_path: Path, monkeypatch) -> None:
    """A mistake is one line: it names the value and ends with the fix."""
    monkeypatch.chdir(tmp_path)
    ran = run(*_words(typed))
    assert ran.status != 0
    assert "" == ran.out
    assert ran.err.startswith("error: ")
    assert 1 == ran.err.count("\n")
    assert value in ran.err
    assert fix in ran.err
    # What was given needs no hint to give it.
    for option in ("--server", "--token-file", "--generate"):
        assert not (option in _words(typed) and f"with {option}" in ran.err)
    assert len(ran.err) < 400


def test_every_command() -> None:
    """No command is left out above."""
    seen = {tuple(_words(one[0])[:2]) for one in MISTAKES}
    for command in leaves():
        words = tuple(command.split())
        assert [one for one in seen if one[: len(words)] == words], command


class TestServer:
    """What is said of a server that does not answer as it should."""

    def test_nobody(self, run: Run) -> None:
        """`--server` is a hint only where it was not given."""
        address = f"http://127.0.0.1:{unused_port()}"
        assert (
            f"error: no server answers at {address}; start it with: provider-mock serve, or correct its address\n"
            == run("redeliver", "1", "--server", address).err
        )

    def test_token(self, run: Run, tmp_path: Path) -> None:
        """A server that wants a token is told apart from one that refuses it."""
        token = tmp_path / "token"
        token.write_text("a-token-of-my-own")
        with peer(answers(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}")) as server:
            without = run("redeliver", "1", "--server", server.url).err
            given = run("redeliver", "1", "--server", server.url, "--token-file", str(token)).err
        assert "wants its token; give --token-file FILE, or set PROVIDER_MOCK_TOKEN" in without
        assert f"refuses the token of --token-file {token}; give the one it was started with" in given
        assert "a-token-of-my-own" not in given


class TestFields:
    """A field that the documents do not have can be sent; a slip of the pen is asked about."""

    @pytest.mark.parametrize(
        ("assignment", "note"),
        [
            ("/acid=1", "note: commsease.login has no documented field /acid; did you mean '/accid'?\n"),
            ("/accid=1", ""),
            ("/zzzzzz=1", ""),
        ],
    )
    def test_note(self, run: Run, assignment: str, note: str) -> None:
        """The note comes once, before anything is sent."""
        with peer(answers(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as there:
            ran = run("send", "commsease.login", "--to", there.url, "--set", assignment, "--count", "2")
        assert (0, note, 2) == (ran.status, ran.err, len(ran.lines))
