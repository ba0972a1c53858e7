"""Reading effects: from a URL, through a renaming expression, and what is said when it does not work."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from conformance.effects import BadEffects, SourceOptions, compiled, mapped, open_effects, sources
from conformance.run import EffectsError
from provider_mock.contract import Request
from tests.conformance.little_server import Answer, serving, unused_url

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
    """Tests for `conformance.effects.http`."""

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
            ([], b"[]"),
            ([], b""),
            ([], b"\n \n"),
            ([{"a": "x\u2028y"}, {"a": "\x85"}], '{"a":"x\u2028y"}\n{"a":"\x85"}'.encode()),
            ([{"a": "你好 🎉"}], '[{"a":"你好 🎉"}]'.encode()),
            ([{"a": 2**64}], b'[{"a":18446744073709551616}]'),
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
            ("a record is int, not an object", b"[7]"),
            ("a record is list, not an object", b'[{"accid":"ann"},[]]'),
            ("a record is NoneType, not an object", b"[null]"),
        ],
    )
    def test_not_records(self, expected: str, body: bytes, answering: Callable[[bytes], str]) -> None:
        """What is no list of objects is said to be so, with what to do."""
        with pytest.raises(EffectsError, match=expected) as caught:
            read(answering(body))
        assert caught.value.fix

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
            ("a record is str, not an object", [ANN], "accid"),
            ("a record is NoneType, not an object", [ANN], "nothing"),
            ("a record cannot be renamed: ", [ANN], "{a: abs(accid)}"),
        ],
    )
    def test_not_records(self, expected: str, records: Any, mapping: str | None) -> None:
        """What is no record, before or after the renaming, is said to be so."""
        with pytest.raises(EffectsError, match=expected):
            mapped(lambda: records, mapping)()

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
        """Another scheme is refused, with those there are and the fixture."""
        with pytest.raises(BadEffects, match=r"no source of effects.*http.*receiver_effects"):
            open_effects(spec, SourceOptions())

    def test_case(self, answering: Callable[[bytes], str]) -> None:
        """The scheme may be written in capitals."""
        body = json.dumps([ANN]).encode()
        assert [ANN] == read(answering(body).replace("http:", "HTTP:"))

    def test_headers_hidden(self) -> None:
        """The values of extra headers do not show."""
        assert "s3cret" not in repr(SourceOptions((("X-Gateway", "s3cret"),)))
