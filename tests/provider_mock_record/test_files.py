"""Recordings on disk, and HAR files."""

from __future__ import annotations

import json
import stat
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Reply, Request, Stamp
from im_callback.provider_mock.recording import files
from im_callback.provider_mock.recording.exchange import Exchange, from_line, to_line
from im_callback.provider_mock.recording.keeping import HOST, SCRUBBED, kept
from im_callback.provider_mock.recording.recognition import recognised
from im_callback.provider_mock.recording.rewriting import Rewriting

EVERY = [providers.load(name) for name in ("commsease", "rongcloud", "tencent")]
NOW = 1_795_986_000_000
PLAIN = Exchange(
    Request("http://h/cb?a=1", (("A", "b"),), "张三".encode()), 5, Reply(200, (("B", ""),), b"\xff", 0.002), 7
)
LOST = Exchange(Request("http://h/cb", (), b"", "PUT", chunked=True), 5, lost="gone", replied_at=6, broken="cut")


def read(data: bytes) -> tuple[list[Exchange], list[str]]:
    """Return the exchanges of a file, and what was noted."""
    notes: list[str] = []
    return list(files.read(BytesIO(data), notes.append)), notes


def request_of(name: str, *, number: int = 0, endpoint: str = "http://h:80/cb?own=x") -> Request:
    """Return a request with a documented sample."""
    provider = providers.load(name.partition(".")[0])
    feed = provider.feed_of(name)
    event = Event(name, provider.catalogue[name].examples[number])
    return feed.request([event], endpoint, provider.defaults, Stamp(NOW, "n1"))


class TestLines:
    """A line holds all of an exchange."""

    @pytest.mark.parametrize("exchange", [PLAIN, LOST])
    def test_there_and_back(self, exchange: Exchange) -> None:
        """It is read as it was written, bytes that are no text too."""
        assert exchange == from_line(to_line(exchange))
        assert "\n" not in to_line(exchange)

    @pytest.mark.parametrize(
        ("expected", "change"),
        [
            ("another release", {"recorded": 2}),
            ("KeyError", {"request": {}}),
            ("ValueError", {"sent_at": "soon"}),
            ("Error", {"reply": {"status": 200, "headers": [], "body": "x", "body_encoding": "base64"}}),
        ],
    )
    def test_no_line(self, expected: str, change: dict[str, Any]) -> None:
        """What is none is refused by line number."""
        line = to_line(PLAIN)
        with pytest.raises(files.Unreadable, match=f"line 2: .*{expected}"):
            read(f"{line}\n{json.dumps({**json.loads(line), **change})}\n".encode())


class TestWriter:
    """Lines are on the disk one by one."""

    def write(self, file: Path, *exchanges: Exchange, prepare: Any = lambda one: one) -> files.Writer:
        writer = files.Writer(file, prepare, lambda _: None)
        for one in exchanges:
            writer.write(one)
        writer.close()
        return writer

    def test_added(self, tmp_path: Path) -> None:
        """A file is added to, and is nobody else's to read."""
        file = tmp_path / "r.jsonl"
        self.write(file, PLAIN)
        self.write(file, LOST)
        assert [PLAIN, LOST] == read(file.read_bytes())[0]
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)

    def test_half_a_line(self, tmp_path: Path) -> None:
        """What a killed recorder could not finish is passed over, and harms nothing that follows."""
        file = tmp_path / "r.jsonl"
        file.write_bytes(f"{to_line(PLAIN)}\n{to_line(LOST)[:-40]}".encode())
        self.write(file, LOST, PLAIN)
        assert ([PLAIN, LOST, PLAIN], ["note: line 2 was not finished; it is passed over"]) == read(file.read_bytes())

    def test_byte_order_mark(self) -> None:
        """What an editor puts in front of a file does no harm."""
        assert [PLAIN] == read(b"\xef\xbb\xbf" + to_line(PLAIN).encode())[0]

    def test_our_error(self, tmp_path: Path) -> None:
        """One that cannot be prepared is counted, and the others are written."""

        def prepare(exchange: Exchange) -> Exchange:
            if exchange is LOST:
                raise KeyError("oops")
            return exchange

        writer = self.write(tmp_path / "r.jsonl", PLAIN, LOST, PLAIN, prepare=prepare)
        assert (1, "KeyError('oops')") == (writer.lost, repr(writer.problem))
        assert [PLAIN, PLAIN] == read((tmp_path / "r.jsonl").read_bytes())[0]

    def test_nobody_reads(self, tmp_path: Path) -> None:
        """That nobody is there any more to be told of lines keeps none from being written."""

        def written(_: Exchange) -> None:
            raise BrokenPipeError

        writer = files.Writer(tmp_path / "r.jsonl", lambda one: one, written)
        for one in (PLAIN, LOST):
            writer.write(one)
        writer.close()
        assert [PLAIN, LOST] == read((tmp_path / "r.jsonl").read_bytes())[0]

    def test_full_disk(self) -> None:
        """A disk that takes nothing is told of at the end."""
        if not Path("/dev/full").exists():
            pytest.skip("there is no /dev/full")
        writer = self.write(Path("/dev/full"), PLAIN, LOST)
        assert 2 == writer.lost
        assert isinstance(writer.problem, OSError)


class TestHar:
    """HAR files of browsers and proxies."""

    ENTRY = {
        "startedDateTime": "2026-11-29T21:00:00.1234567Z",
        "time": 12.3,
        "request": {
            "method": "POST", "url": "http://h/cb", "headers": [{"name": ":path", "value": "/cb"}, {"name": "A", "value": "b"}],
            "postData": {"mimeType": "application/json", "text": '{"a":"张"}'},
        },
        "response": {"status": 200, "headers": [], "content": {"text": "b2s=", "encoding": "base64"}},
    }  # fmt: skip

    def har(self, *entries: Any) -> bytes:
        return json.dumps({"log": {"version": "1.2", "entries": entries}}, indent=1).encode()

    def test_entry(self) -> None:
        """Requests with a body are exchanges, in the order in which they were sent; others are passed over."""
        earlier = {**self.ENTRY, "startedDateTime": "2026-11-29T22:59:59+02:00"}
        form = {"postData": {"params": [{"name": "a b", "value": "ü"}]}}
        earlier["request"] = {**self.ENTRY["request"], **form}  # type: ignore[dict-item]
        lost = {**self.ENTRY, "response": {"status": 0}}
        get = {**self.ENTRY, "request": {"method": "GET", "url": "http://h/", "headers": []}}
        found, notes = read(self.har(self.ENTRY, earlier, lost, get))
        assert ["note: 1 of 4 requests have no body; they are passed over"] == notes
        assert [b"a+b=%C3%BC", '{"a":"张"}'.encode(), '{"a":"张"}'.encode()] == [one.request.body for one in found]
        assert (1795986000123, 1795986000135, (("A", "b"),)) == (
            found[1].sent_at,
            found[1].replied_at,
            found[1].request.headers,
        )
        assert found[1].reply is not None
        assert (200, b"ok") == (found[1].reply.status, found[1].reply.body)
        assert "no reply is on record" == found[2].lost

    @pytest.mark.parametrize(
        "data", [b"", b"\n", b"{}", b"[1]", b'{"log":{"entries":[1]}}', b"\xff\xfe", b'{"log":{"entries":7}}']
    )
    def test_neither(self, data: bytes) -> None:
        """What is no recording and no HAR file is said to be none."""
        with pytest.raises(files.Unreadable, match="give a file that provider-mock record has written, or a HAR file"):
            read(data)


class TestRecognition:
    """Whose request one is, is told by the request."""

    @pytest.mark.parametrize(
        "name",
        [one.name for provider in EVERY for feed in provider.feeds for one in feed.event_types[:40] if one.examples],
    )
    def test_every_type(self, name: str) -> None:
        """That of every event type by its provider, its feed and its name."""
        found = recognised(request_of(name), EVERY)
        assert found is not None
        assert (name.partition(".")[0], (name,)) == (found.feed.provider.name, found.names)
        assert found.feed is found.feed.provider.feed_of(name)

    def test_no_provider(self) -> None:
        """What nobody sends is nobody's."""
        assert recognised(Request("http://h/", (("Content-Type", "application/json"),), b'{"hello":1}'), EVERY) is None


class TestKept:
    """What is written down of a request."""

    def test_scrubbed(self) -> None:
        """Neither signature nor digest, neither host nor path, no unknown header; times and nonces stay."""
        request = request_of("commsease.login")._replace(url="http://im.corp.cn/hooks/s3cr3t.php?token=abc&n=1")
        headers = (
            ("Host", "im.corp.cn"),
            *request.headers,
            ("X-Forwarded-For", "1.2.3.4"),
            ("Cookie", "a=b"),
            ("Content-Length", str(len(request.body))),
        )
        reply = Reply(200, (("Set-Cookie", "a=b"), ("Content-Type", "text/plain")), b"hello ann", 0.1)
        found = kept(Exchange(request._replace(headers=headers), NOW, reply, NOW + 100), EVERY, Rewriting(b"k" * 32))
        assert ("commsease", "data-sync", ("commsease.login",), "acked", True) == (
            found.provider, found.feed, found.event_types, found.outcome, found.scrubbed,
        )  # fmt: skip
        values = dict(found.request.headers)
        assert {"MD5", "CheckSum", "X-Forwarded-For", "Cookie"} == {
            name for name, value in values.items() if value == SCRUBBED
        }
        assert (str(NOW), HOST, "application/json") == (values["CurTime"], values["Host"], values["Content-Type"])
        assert str(len(found.request.body)) == values["Content-Length"]
        assert found.request.url.startswith(f"http://{HOST}/")
        assert not any(one in to_line(found) for one in ("corp.cn", "s3cr3t", "abc", "1.2.3.4", "ann", "test-key"))
        assert found.reply is not None
        assert (("Set-Cookie", SCRUBBED), ("Content-Type", "text/plain")) == found.reply.headers

    def test_as_it_is(self) -> None:
        """With people kept, all but credentials of a gateway is as it came."""
        request = request_of("tencent.c2c-after-send", endpoint="http://h/cb?access_token=abc&n=%20")
        request = request._replace(headers=(*request.headers, ("authorization", "Bearer xyz")))
        found = kept(Exchange(request, NOW, lost="gone", replied_at=NOW), EVERY, None)
        assert request.body == found.request.body
        assert request.url.replace("=abc", f"={SCRUBBED}") == found.request.url
        assert (*request.headers[:-1], ("authorization", SCRUBBED)) == found.request.headers
        assert ("unreachable", False) == (found.outcome, found.scrubbed)

    def test_people_in_the_query(self) -> None:
        """An address in the query is one of a person."""
        request = request_of("tencent.c2c-after-send")
        found = kept(
            Exchange(request._replace(url=request.url.replace("127.0.0.1", "8.8.4.4")), NOW),
            EVERY,
            Rewriting(b"k" * 32),
        )
        assert "8.8.4.4" not in found.request.url
        assert "&ClientIP=10." in found.request.url
        assert "CallbackCommand=C2C.CallbackAfterSendMsg" in found.request.url
        assert f"Sign={SCRUBBED}" in found.request.url

    @pytest.mark.parametrize("host", ["[", "zhangsan:x", "a/b"])
    def test_odd_host(self, host: str) -> None:
        """Whatever stands for the host is taken out."""
        request = request_of("commsease.login")._replace(url=f"http://{host}/cb", headers=(("Host", host),))
        line = to_line(kept(Exchange(request, NOW, lost="gone", replied_at=NOW), EVERY, Rewriting(b"k" * 32)))
        assert "zhangsan" not in line

    def test_unknown(self) -> None:
        """What nobody knows is replaced as a whole."""
        exchange = Exchange(Request("http://h/", (), b'{"zhangsan":"lisi000"}'), NOW, lost="gone", replied_at=NOW)
        line = to_line(kept(exchange, EVERY, Rewriting(b"k" * 32)))
        assert "zhangsan" not in line
        assert "lisi000" not in line
