"""Reading effects: from a URL, through a renaming expression, and what is said when it does not work."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from im_callback.conformance.effects import (
    GROUP,
    BadEffects,
    EffectsError,
    SourceOptions,
    compiled,
    http,
    mapped,
    open_effects,
    sources,
)
from im_callback.provider_mock.contract import Request

from tests.conformance.little_server import Answer, serving, unused_url
from tests.provider_mock.test_plugins import install

SECRETS = ("pa55word", ":x@", "=abc", "0123abcdef")
ANN, BOB = {"accid": "ann"}, {"accid": "bob"}


@pytest.fixture
def answering() -> Iterator[Callable[[bytes, int], str]]:
    """Return a function that sets what the source answers, and returns its address."""
    answer: list[Answer] = []

    def set_answer(body: bytes, status: int = 200) -> str:
        answer[:] = [(status, "application/json", body)]
        return little.url

    with serving(lambda request: answer[0]) as little:
        yield set_answer


def read(url: str, mapping: str | None = None) -> Any:
    """Return the records at a URL."""
    return open_effects(url, SourceOptions(), mapping)()


class TestHttp:
    """Tests for `im_callback.conformance.effects.http`."""

    @pytest.mark.parametrize(
        ("expected", "body"),
        [
            ([ANN, BOB], b'[{"accid":"ann"},{"accid":"bob"}]'),
            ([ANN, BOB], b'{"accid":"ann"}\n{"accid":"bob"}\n'),
            ([ANN, BOB], b'\r\n{"accid":"ann"}\r\n\r\n{"accid":"bob"}\r\n'),
            ([ANN], b'[{"accid":"ann"}]'),
            ([ANN], b'{"accid":"ann"}\n'),
            ([ANN], b'{\n "accid": "ann"\n}'),
            ([ANN], b'\xef\xbb\xbf[{"accid":"ann"}]'),
            ([ANN], '[{"accid":"ann"}]'.encode("utf-16")),
            ([], b"[]"),
            ([], b""),
            ([], b"\n \n"),
            ([{"a": "x\u2028y"}, {"a": "\x85"}], '{"a":"x\u2028y"}\n{"a":"\x85"}'.encode()),
            ([{"a": "你好 🎉"}], '[{"a":"你好 🎉"}]'.encode()),
            ([{"a": 2**64}], b'[{"a":18446744073709551616}]'),
            ([ANN, None, 7, "text", [], True, BOB], b'[{"accid":"ann"},null,7,"text",[],true,{"accid":"bob"}]'),
            ([ANN, None, "text"], b'{"accid":"ann"}\nnull\n"text"\n'),
        ],
    )
    def test_read(self, expected: Any, body: bytes, answering: Callable[[bytes], str]) -> None:
        """A JSON array, JSON lines, one record alone, or none."""
        assert expected == read(answering(body))

    @pytest.mark.parametrize(
        ("expected", "body"),
        [
            ("answers no JSON", b"<html>"),
            ("answers no JSON", b'{"accid":"ann"}\n<html>'),
            ("answers no JSON", b'[{"accid":'),
            ("answers no JSON", b"\xff\xfe"),
            ("answers no JSON", b"[" * 200_000),
            ("they are int, not a list", b"7"),
            ("they are str, not a list", b'"text"'),
            ("they are NoneType, not a list", b"null"),
        ],
    )
    def test_not_records(self, expected: str, body: bytes, answering: Callable[[bytes], str]) -> None:
        """What is no list is said to be so, with what to do."""
        with pytest.raises(EffectsError, match=expected) as caught:
            read(answering(body))
        assert caught.value.fix

    @pytest.mark.parametrize("encoding", ["gzip", "deflate"])
    def test_compressed(self, encoding: str) -> None:
        """A compressed answer is unpacked, up to a limit."""
        body = gzip.compress(b'[{"accid":"ann"}]') if encoding == "gzip" else zlib.compress(b'[{"accid":"ann"}]')
        with answering_with(encoding, body) as url:
            assert [ANN] == read(url)

    def test_bomb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A few bytes that would fill the memory are not unpacked to the end."""
        monkeypatch.setattr(http, "MOST", 100_000)
        with (
            answering_with("gzip", gzip.compress(b" " * 50_000_000)) as url,
            pytest.raises(EffectsError, match="answers with more than 100000 bytes"),
        ):
            read(url)

    @pytest.mark.parametrize(
        ("expected", "encoding", "body"),
        [
            ("answers no JSON (.*its Content-Encoding is 'x-unheard-of'", "x-unheard-of", b"\xff"),
            ("does not answer (.*gzip", "gzip", b"no gzip"),
        ],
    )
    def test_not_unpacked(self, expected: str, encoding: str, body: bytes) -> None:
        """What cannot be unpacked is said to be compressed."""
        with answering_with(encoding, body) as url, pytest.raises(EffectsError, match=expected.replace("(", r"\(")):
            read(url)

    @pytest.mark.parametrize(
        "address", ["http://me:pa55word@{}/e?token=abc", "http://me:x@{}/e?access_token=0123abcdef"]
    )
    def test_secrets(self, address: str) -> None:
        """Secrets of the address are in no error."""
        for host in (unused_url().removeprefix("http://"), "[::1"):
            with pytest.raises(EffectsError) as caught:
                read(address.format(host))
            said = f"{caught.value!r} {caught.value.reason} {caught.value.fix}"
            assert [] == [part for part in SECRETS if part in said]
            assert caught.value.__suppress_context__

    @pytest.mark.parametrize("status", [204, 404, 500])
    def test_status(self, status: int, answering: Callable[[bytes, int], str]) -> None:
        """Another status than 200 is named."""
        with pytest.raises(EffectsError, match=f"status {status}.*test mode"):
            read(answering(b"[]", status))

    def test_nobody(self) -> None:
        """Where nobody listens, the address is named."""
        url = unused_url()
        with pytest.raises(EffectsError, match="does not answer") as caught:
            read(url)
        assert url in caught.value.reason
        assert "--receiver-effects" in caught.value.fix

    def test_headers(self) -> None:
        """Extra headers are sent, and no proxy of the environment is used."""
        got: list[Request] = []

        def answer(request: Request) -> Answer:
            got.append(request)
            return 200, "application/json", b"[]"

        with serving(answer) as little:
            open_effects(f"{little.url}/effects?a=1", SourceOptions((("X-Gateway", "s3cret"),)))()
        assert ("X-Gateway", "s3cret") in got[0].headers
        assert ("GET", f"{little.url}/effects?a=1") == (got[0].method, got[0].url)

    def test_no_proxy(self, answering: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch) -> None:
        """A proxy in the environment is not used."""
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, unused_url())
        assert [] == read(answering(b"[]"))

    def test_private_ca(self, tmp_path: Path) -> None:
        """A certificate of a private authority is accepted with that authority, and only then."""
        certificate = certified(tmp_path)
        with serving(lambda request: (200, "application/json", b"[]"), certificate=certificate) as little:
            assert [] == open_effects(little.url, SourceOptions(ca_file=certificate))()
            with pytest.raises(EffectsError, match=r"does not answer.*certificate"):
                read(little.url)

    @pytest.mark.parametrize("content", [b"", b"no certificate"])
    def test_bad_ca(self, content: bytes, tmp_path: Path) -> None:
        """A file that holds no certificate is no error of ours."""
        certificate = certified(tmp_path)
        (tmp_path / "bad.pem").write_bytes(content)
        with serving(lambda request: (200, "application/json", b"[]"), certificate=certificate) as little:
            source = open_effects(little.url, SourceOptions(ca_file=tmp_path / "bad.pem"))
            with pytest.raises(EffectsError, match="does not answer"):
                source()


@contextmanager
def answering_with(encoding: str, body: bytes) -> Iterator[str]:
    """Answer with a compressed body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Encoding", encoding)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def certified(folder: Path) -> Path:
    """Return a file with a certificate for 127.0.0.1, its authority's and its key."""
    file = folder / "certificate.pem"
    private = trustme.CA()
    private.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    private.cert_pem.write_to_path(str(file), append=True)
    return file


class TestMapped:
    """Tests for `mapped`: renaming, and what a record may be."""

    @pytest.mark.parametrize(
        ("expected", "mapping"),
        [
            ({"who": "ann", "info": {"at": 5}}, None),
            ({"who": "ann", "info": {"at": 5}}, ""),
            ({"accid": "ann", "timestamp": 5}, "{accid: who, timestamp: info.at}"),
            ({"at": 5}, "info"),
            ({"accid": "ann", "x": None}, "{accid: who, x: nothing}"),
        ],
    )
    def test_renamed(self, expected: Any, mapping: str | None) -> None:
        """Records come out as the expression makes them."""
        assert [expected] == list(mapped(lambda: [{"who": "ann", "info": {"at": 5}}], mapping)())

    def test_tuple(self) -> None:
        """A tuple of records will do."""
        assert (ANN,) == tuple(mapped(lambda: (ANN,), None)())

    @pytest.mark.parametrize(
        ("expected", "records", "mapping"),
        [
            ("they are dict, not a list", {"data": []}, None),
            ("they are NoneType, not a list", None, None),
            ("they are generator, not a list", (one for one in [ANN]), None),
            ("they are str, not a list", "text", "{accid: who}"),
        ],
    )
    def test_no_list(self, expected: str, records: Any, mapping: str | None) -> None:
        """What is no list is said to be so."""
        with pytest.raises(EffectsError, match=expected):
            mapped(lambda: records, mapping)()

    @pytest.mark.parametrize(
        ("expected", "record", "mapping"),
        [
            (None, None, "{accid: who}"),
            (None, None, None),
            ("text", "text", "{accid: who}"),
            (7, 7, "{accid: who}"),
            ([], [], "{accid: who}"),
            (ANN, ANN, "nothing"),
            (ANN, ANN, "{a: nothing, b: nothing}"),
            (ANN, ANN, "{a: abs(accid)}"),
            (ANN, ANN, "{a: sum(accid)}"),
            ({"accid": "ann"}, ["ann", 5], "{accid: [0]}"),
            ({"accid": "ann"}, "ann", "{accid: @}"),
            ("ann", ANN, "accid"),
            ({"accid": "ann", "at": None}, {"who": "ann"}, "{accid: who, at: at}"),
        ],
    )
    def test_odd_records(self, expected: Any, record: Any, mapping: str | None) -> None:
        """A record of any kind is passed on; one that cannot be renamed, or comes out empty, as it is."""
        source = mapped(lambda: [BOB, record], mapping)
        assert expected == source()[1]
        assert [BOB, record] == source.read_raw()
        assert 2 == len(source())

    def test_read_once(self) -> None:
        """Renamed and raw records of one reading belong together."""
        readings = iter([[{"who": "ann"}], [{"who": "bob"}]])
        reading = mapped(lambda: next(readings), "{accid: who}").read()
        assert ([ANN], [{"who": "ann"}]) == (reading.records, reading.raw)

    @pytest.mark.parametrize("error", [ValueError("no\ndatabase"), KeyError("x"), RecursionError("deep")])
    def test_any_error(self, error: Exception) -> None:
        """Whatever a source raises, the effects could not be read."""

        def fails() -> Any:
            raise error

        with pytest.raises(EffectsError, match=rf"reading them failed \({type(error).__name__}: ") as caught:
            mapped(fails, None)()
        assert "\n" not in caught.value.reason

    @pytest.mark.parametrize("mapping", ["{a: ", "a b", "]", "{a: b", "foo("])
    def test_bad_expression(self, mapping: str) -> None:
        """An expression that cannot be read is refused at once, on one line."""
        with pytest.raises(BadEffects, match="is not JMESPath") as caught:
            compiled(mapping)
        assert "\n" not in str(caught.value)
        assert "--receiver-effects-map" in str(caught.value)


class TestSources:
    """Tests for `open_effects` and `sources`."""

    def test_schemes(self) -> None:
        """URLs can be read."""
        assert {"http", "https"} <= set(sources())

    @pytest.mark.parametrize("spec", ["ftp://x", "nonsense", ":x", "C:\\effects.json", ""])
    def test_unknown(self, spec: str) -> None:
        """Another scheme is refused, with those there are."""
        with pytest.raises(BadEffects, match=r"no source of effects.*; choose one of: command, file, http, "):
            open_effects(spec, SourceOptions())

    def test_unknown_with_secret(self) -> None:
        """What is refused is shown without its secrets."""
        with pytest.raises(BadEffects, match=r"--receiver-effects='ftp://me:\*\*\*@x': no source"):
            open_effects("ftp://me:pa55word@x", SourceOptions())

    def test_case(self, answering: Callable[[bytes], str]) -> None:
        """The scheme may be written in capitals."""
        body = json.dumps([ANN]).encode()
        assert [ANN] == read(answering(body).replace("http:", "HTTP:"))

    def test_headers_hidden(self) -> None:
        """The values of extra headers do not show."""
        assert "s3cret" not in repr(SourceOptions((("X-Gateway", "s3cret"),)))


class TestConnections:
    """What a connection that is kept would do."""

    def test_one_thread(self) -> None:
        """A server that serves one connection at a time is free again once it has answered."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"[]")

            def log_message(self, *args: object) -> None:
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
            thread.start()
            try:
                url = f"http://127.0.0.1:{server.server_address[1]}/"
                readers = [open_effects(url, SourceOptions()) for _ in range(2)]
                # Where one kept its connection, the other would wait in vain for the server.
                for _ in range(20):
                    assert [[], []] == [list(read()) for read in readers]
            finally:
                server.shutdown()
                thread.join()

    def test_bytes_that_are_no_text(self) -> None:
        """What a store has kept of a broken delivery does not hide the other records."""
        with serving(lambda request: (200, "application/json", b'[{"a": "\xff"}, {"b": 1}]')) as little:
            assert [{"a": "\ufffd"}, {"b": 1}] == list(open_effects(little.url, SourceOptions())())

    def test_broken_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A source of another package that cannot be loaded stops none of the others, and is named where it is missed."""
        install(tmp_path, GROUP, "leaky", "raise SystemExit('no licence')")
        monkeypatch.syspath_prepend(str(tmp_path))
        assert {"http", "https"} <= set(sources())
        with pytest.raises(
            BadEffects, match=r"; the source of effects 'leaky' of the package leaky-package cannot be "
        ):
            open_effects("leaky:x", SourceOptions())
