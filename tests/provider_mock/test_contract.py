"""The values a contract is made of: parameters, queries, the shared rules of time."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider_mock import providers
from provider_mock.contract import (
    Credentials,
    Event,
    Judgement,
    NoReply,
    Outcome,
    Parameter,
    Reply,
    Request,
    Stamp,
    in_time,
    query_pairs,
    same,
    with_query,
)
from provider_mock.delivery.ledger.records import to_text
from provider_mock.history import Attempt, History, Shot
from tests.provider_mock.strategies import json_values, keys, repeatable

HEADER = Parameter("MD5", "header", "digest")
QUERY = Parameter("nonce", "query", "nonce")
REQUEST = Request("http://h/p?nonce=1&a=b&Nonce=2", (("A", "1"), ("md5", "x"), ("B", "2")), b"")


class TestParameterValues:
    """Tests for `Parameter.values`."""

    @pytest.mark.parametrize(
        ("expected", "headers"),
        [
            ([], ()),
            (["x"], (("MD5", "x"),)),
            (["x"], (("md5", "x"),)),
            ([""], (("Md5", ""),)),
            (["x", "y"], (("MD5", "x"), ("A", "1"), ("md5", "y"))),
            ([], (("MD5 ", "x"), ("MD", "5"))),
        ],
    )
    def test_header(self, expected: list[str], headers: tuple[tuple[str, str], ...]) -> None:
        """Header names have no case; every value counts, in order."""
        assert expected == HEADER.values(Request("http://h/?MD5=q", headers, b""))

    @pytest.mark.parametrize(
        ("expected", "url"),
        [
            ([], "http://h/"),
            ([], "http://h/?"),
            (["1"], "http://h/?nonce=1"),
            (["1"], "http://h/?a=b&nonce=1#nonce=2"),
            ([""], "http://h/?nonce="),
            ([""], "http://h/?nonce"),
            (["1", "2"], "http://h/?nonce=1&&nonce=2"),
            ([], "http://h/?Nonce=1&xnonce=2"),
            (["a b&=?#+é"], "http://h/?nonce=a+b%26%3D%3F%23%2B%C3%A9"),
            (["a=b"], "http://h/?nonce=a=b"),
            (["1"], "http://h/?%6eonce=1"),
        ],
    )
    def test_query(self, expected: list[str], url: str) -> None:
        """Query names have a case; values are decoded."""
        assert expected == QUERY.values(Request(url, (("nonce", "9"),), b""))


class TestParameterGiven:
    """Tests for `Parameter.given`."""

    @pytest.mark.parametrize(
        ("expected", "values"),
        [
            ((("A", "1"), ("B", "2")), ()),
            ((("A", "1"), ("B", "2"), ("md5", "")), ("",)),
            ((("A", "1"), ("B", "2"), ("md5", "y"), ("md5", "z")), ("y", "z")),
        ],
    )
    def test_header(self, expected: tuple[tuple[str, str], ...], values: tuple[str, ...]) -> None:
        """Exactly these values, spelled as the request spells the name; the rest stays."""
        assert Request(REQUEST.url, expected, b"") == HEADER.given(REQUEST, *values)

    def test_new_header(self) -> None:
        """A header that was not there gets the documented name."""
        assert (("MD5", "x"),) == HEADER.given(Request("http://h/", (), b""), "x").headers

    @pytest.mark.parametrize(
        ("expected", "values"),
        [
            ("http://h/p?a=b&Nonce=2", ()),
            ("http://h/p?a=b&Nonce=2&nonce=", ("",)),
            ("http://h/p?a=b&Nonce=2&nonce=y&nonce=z%26", ("y", "z&")),
        ],
    )
    def test_query(self, expected: str, values: tuple[str, ...]) -> None:
        """Exactly these values, encoded; the rest of the address stays."""
        assert Request(expected, REQUEST.headers, b"") == QUERY.given(REQUEST, *values)

    @pytest.mark.parametrize("parameter", [HEADER, QUERY], ids=["header", "query"])
    @repeatable
    @given(values=st.lists(st.text(max_size=10), max_size=3))
    def test_round_trip(self, parameter: Parameter, values: list[str]) -> None:
        """What is given is what is found."""
        assert values == parameter.values(parameter.given(REQUEST, *values))


class TestQuery:
    """Tests for `query_pairs` and `with_query`."""

    @repeatable
    @given(pairs=st.lists(st.tuples(st.text(min_size=1, max_size=10), st.text(max_size=10)), max_size=5))
    def test_read_by_others(self, pairs: list[tuple[str, str]]) -> None:
        """The standard library reads what we write, and so do we."""
        url = with_query("http://h/p?old=1#x", pairs)
        assert pairs == parse_qsl(urlsplit(url).query, keep_blank_values=True)
        assert pairs == query_pairs(url)
        assert url.isascii()

    @pytest.mark.parametrize(
        ("expected", "pairs"),
        [
            ("http://h/p", []),
            ("http://h/p?a=", [("a", "")]),
            ("http://h/p?a=C2C.Call:1", [("a", "C2C.Call:1")]),
            ("http://h/p?a%20b=%2Fc%2B%26", [("a b", "/c+&")]),
            ("http://h/p?a=1&a=2", [("a", "1"), ("a", "2")]),
        ],
    )
    def test_written(self, expected: str, pairs: list[tuple[str, str]]) -> None:
        """Dots and colons stay readable; everything that means something in a URL is encoded; a fragment goes."""
        assert expected == with_query("http://h/p?x=y#z", pairs)


class TestSame:
    """Tests for `same`."""

    @pytest.mark.parametrize(
        ("expected", "given", "due"),
        [
            (True, "", ""),
            (True, "abc", "abc"),
            (False, "ABC", "abc"),
            (False, "abc", "abc "),
            (False, "", "a"),
            (True, "é", "é"),
            (False, "\udcff", "a"),
        ],
    )
    def test_same(self, expected: bool, given: str, due: str) -> None:
        """Equal means every character, case included."""
        assert expected is same(given, due)


class TestInTime:
    """Tests for `in_time`."""

    def test_boundary(self) -> None:
        """Exactly the deadline is in time."""
        reply = Reply(404, (), b"", 5.0)
        assert reply is in_time(reply, 5.0)
        late = Reply(200, (), b"", 5.0004)
        assert Judgement(Outcome.TIMED_OUT, "answered after 5.000 s, later than 5 s") == in_time(late, 5.0)

    def test_no_reply(self) -> None:
        """What never answered is judged at once."""
        assert Judgement(Outcome.TIMED_OUT, "no complete answer within 0.5 s") == in_time(
            NoReply("timed-out", "x", 1), 0.5
        )
        assert Judgement(Outcome.UNREACHABLE, "x") == in_time(NoReply("unreachable", "x", 1), 0.5)


class TestProvider:
    """Tests for what every provider has from the base class."""

    def test_parameter(self) -> None:
        """A parameter by its role; one that is not there is an error that names both."""
        provider = providers.load("rongcloud")
        assert "nonce" == provider.parameter("nonce").name
        assert provider.has("nonce")
        assert not provider.has("digest")
        with pytest.raises(LookupError, match="rongcloud has no signature parameter with the role 'digest'"):
            provider.parameter("digest")

    @pytest.mark.parametrize(
        ("expected", "provider", "document"),
        [
            ([{"a": 1}], "commsease", {"a": 1}),
            ([[{"a": 1}]], "commsease", [{"a": 1}]),
            ([{"a": 1}, {"b": 2}], "rongcloud", [{"a": 1}, {"b": 2}]),
            ([{"a": 1}], "rongcloud", {"a": 1}),
            ([], "rongcloud", []),
            ([None], "tencent", None),
        ],
    )
    def test_payloads(self, expected: list[object], provider: str, document: object) -> None:
        """An array is several payloads only where the provider sends batches."""
        assert expected == providers.load(provider).payloads(document)

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_sources(self, provider: str) -> None:
        """Every rule that a check can cite has a source."""
        topics = {"transport", "signature", "ack", "deadline", "retry", "duplicates", "order", "payload", "application"}
        assert topics <= set(providers.load(provider).sources)

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_unknown_type_is_unknown(self, provider: str) -> None:
        """A payload with the provider's `unknown_type` is none of its event types, or not a valid one."""
        one = providers.load(provider)
        for event_type in one.catalogue:
            for example in event_type.examples:
                payload = {**example, **one.unknown_type}
                found = one.catalogue.identify(payload)
                assert found is None or found.problems(payload)


class TestHistory:
    """Tests for `History`, `Attempt` and `Shot`."""

    def test_appends(self) -> None:
        """Attempts stay in the order in which they were added."""
        history = History()
        attempts = [_attempt(status) for status in (200, 404, 500)]
        for attempt in attempts:
            history.append(attempt)
        assert attempts == list(history)
        assert 3 == len(history)
        assert attempts[1:] == history.since(1)
        assert [] == history.since(3)

    def test_attempt(self) -> None:
        """An attempt knows its status and whether it was taken."""
        assert (200, True, Outcome.ACKED) == (_attempt(200).status, _attempt(200).acked, _attempt(200).outcome)
        assert (404, False, Outcome.REFUSED) == (_attempt(404).status, _attempt(404).acked, _attempt(404).outcome)
        lost = Attempt(_shot(), NoReply("timed-out", "", 5.0), Judgement(Outcome.TIMED_OUT, ""), 0)
        assert (None, False) == (lost.status, lost.acked)

    @pytest.mark.parametrize(
        ("expected", "forged", "broken"), [(True, False, False), (False, True, False), (False, False, True)]
    )
    def test_valid(self, expected: bool, forged: bool, broken: bool) -> None:
        """A shot is valid unless it is forged or broken."""
        assert expected is Shot(REQUEST, REQUEST, forged=forged, broken=broken).valid


class TestCredentials:
    """Tests for `Credentials`."""

    def test_repr(self) -> None:
        """The key shows, the secret does not."""
        assert "Credentials(app_key='k')" == repr(Credentials("k", "hush"))


class TestRequestWritten:
    """Tests for `Provider.request_written`."""

    @pytest.mark.parametrize("name", providers.names())
    @given(payload=st.dictionaries(keys, json_values, max_size=6))
    @repeatable
    def test_same(self, name: str, payload: dict[str, Any]) -> None:
        """What the ledger has written goes out as if it were written now."""
        provider = providers.load(name)
        rest = ("http://h/cb?a=1", provider.defaults, Stamp(1_700_000_000_000, "7"))
        assert provider.request([Event("", payload)], *rest) == provider.request_written("", to_text([payload]), *rest)

    @pytest.mark.parametrize("name", providers.names())
    @pytest.mark.parametrize("payloads", [[], [{}, {}], [{"a": {}}, {"a": {}}], [{"a": "},{"}]])
    def test_number(self, name: str, payloads: list[dict[str, Any]]) -> None:
        """A request carries as many events as the provider's can, whether written or not."""
        provider = providers.load(name)
        rest = ("http://h/cb", provider.defaults, Stamp(1_700_000_000_000, "7"))
        if provider.batches or len(payloads) == 1:
            due = provider.request([Event("", payload) for payload in payloads], *rest)
            assert due == provider.request_written("", to_text(payloads), *rest)
        else:
            with pytest.raises(ValueError, match="values to unpack"):
                provider.request_written("", to_text(payloads), *rest)

    def test_surrogates(self) -> None:
        """Half a character, which no JSON text in UTF-8 can hold, is sent as its escape."""
        provider = providers.load("commsease")
        request = provider.request_written(
            "", to_text([{"a": "\ud800"}]), "http://h/cb", provider.defaults, Stamp(1_700_000_000_000, "7")
        )
        assert b'{"a":"\\ud800"}' == request.body


def _shot() -> Shot:
    return Shot(REQUEST, REQUEST)


def _attempt(status: int) -> Attempt:
    reply = Reply(status, (), b"", 0.1)
    return Attempt(_shot(), reply, providers.load("rongcloud").judge(reply), 0)
