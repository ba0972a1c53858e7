"""The values a contract is made of: parameters, queries, the shared rules of time."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import (
    BadCredentials,
    Credentials,
    Event,
    Feed,
    Judgement,
    NextAttempt,
    NoReply,
    Outcome,
    Parameter,
    Reply,
    Request,
    RetryPolicy,
    Stamp,
    Tried,
    Written,
    declined,
    in_time,
    query_pairs,
    same,
    with_query,
)
from im_callback.provider_mock.delivery.ledger.records import to_text
from im_callback.provider_mock.history import Attempt, Shot

from tests.provider_mock.strategies import json_values, keys, repeatable

FEED = providers.load("commsease").feeds[0]

HEADER = Parameter("MD5", "header", "digest")
QUERY = Parameter("nonce", "query", "nonce")
REQUEST = Request("http://h/p?nonce=1&a=b&Nonce=2", (("A", "1"), ("md5", "x"), ("B", "2")), b"")


class TestValues:
    """The values that a contract is made of."""

    @pytest.mark.parametrize(
        "value",
        [
            Event("t", {}),
            Credentials("k", "s"),
            Stamp(0, "1"),
            Tried(Outcome.ACKED),
            Written("t", "[]"),
            REQUEST,
            Reply(200, (), b"", 0.0),
            NoReply("timed-out", "", 0.0),
            Judgement(Outcome.ACKED, ""),
            RetryPolicy(""),
            NextAttempt("done"),
            HEADER,
            Shot(FEED, REQUEST, REQUEST),
            Attempt(Shot(FEED, REQUEST, REQUEST), Reply(200, (), b"", 0.0), Judgement(Outcome.ACKED, ""), 0),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_fixed(self, value: Any) -> None:
        """They cannot be changed, nor given anything more, and are equal where their fields are."""
        fast = isinstance(value, tuple)
        name = value._fields[0] if fast else fields(value)[0].name  # type: ignore[attr-defined]
        with pytest.raises(AttributeError if fast else FrozenInstanceError):
            setattr(value, name, None)
        assert not hasattr(value, "__dict__")
        assert value == (value._replace() if fast else replace(value))  # type: ignore[attr-defined]

    def test_unless_told_otherwise(self) -> None:
        """A policy retries nothing, keeps nothing and never pauses; a request is a POST in one piece."""
        policy = RetryPolicy("")
        assert ({}, {}, "dropped", 0) == (policy.retries, policy.spacing, policy.exhausted, policy.backlog)
        assert (True, 0, 0.0) == (policy.signed_afresh, policy.pause_after, policy.pause_seconds)
        assert 0.0 == NextAttempt("done").after
        assert ("POST", False) == (REQUEST.method, REQUEST.chunked)
        assert ("object", frozenset(), None, {}) == (
            Feed.encoding,
            Feed.covers,
            Feed.freshness,
            Feed.unknown_type,
        )


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


class TestDeclined:
    """Tests for `declined`."""

    @pytest.mark.parametrize(
        ("expected", "body"), [("a" * 100, b"a" * 100), ("a" * 99 + "…", b"a" * 101), ("a b", b"a\r\n\tb\n")]
    )
    def test_quoted(self, expected: str, body: bytes) -> None:
        """The rule quotes a hundred characters of what was said, in one line."""
        rule = f"status 200, but the receiver's own words decline it: {expected}"
        assert Judgement(Outcome.DECLINED, rule) == declined(Reply(200, (), body, 0.1))


class TestFeed:
    """Tests for what every feed has from the base class."""

    def test_abstract(self) -> None:
        """These three make a feed; whoever leaves one out has none."""
        assert {"sign", "verify", "shell"} == Feed.__abstractmethods__

    def test_parameter(self) -> None:
        """A parameter by its role; one that is not there is an error that names both."""
        provider = providers.load("rongcloud")
        assert "nonce" == provider.feeds[0].parameter("nonce").name
        assert provider.feeds[0].has("nonce")
        assert not provider.feeds[0].has("digest")
        with pytest.raises(
            LookupError, match=r"rongcloud\.chatroom-kv has no signature parameter with the role 'digest'"
        ):
            provider.feeds[0].parameter("digest")

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
        assert expected == providers.load(provider).feeds[0].payloads(document)

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_sources(self, provider: str) -> None:
        """Every rule that a check can cite has a source."""
        topics = {"transport", "signature", "ack", "deadline", "retry", "duplicates", "order", "payload", "application"}
        assert topics <= set(providers.load(provider).feeds[0].sources)

    @pytest.mark.parametrize("provider", ["commsease", "rongcloud", "tencent"])
    def test_unknown_type_is_unknown(self, provider: str) -> None:
        """A payload with the provider's `unknown_type` is none of its event types, or not a valid one."""
        one = providers.load(provider)
        for event_type in one.catalogue:
            unknown = one.feed_of(event_type.name).unknown_type
            for example in event_type.examples if unknown else ():
                found = one.catalogue.identify({**example, **unknown})
                assert found is None or found.problems({**example, **unknown})


class TestCredentialsAsGiven:
    """Tests for `Provider.credentials`."""

    @pytest.mark.parametrize(
        ("expected", "provider", "key", "secret"),
        [
            (("test-key", "test-secret"), "commsease", None, None),
            (("k", "test-secret"), "commsease", "k", None),
            (("test-key", "s"), "commsease", None, "s"),
            (("k", "s"), "rongcloud", "k", "s"),
            (("1400000001", "test-token"), "tencent", None, None),
            (("1400000001", None), "tencent", None, "none"),
            (("none", "None"), "tencent", "none", "None"),
            (("键", "密\n钥"), "commsease", "键", "密\n钥"),
            (("test-key", "\ud7ff\ue000"), "commsease", None, "\ud7ff\ue000"),
        ],
    )
    def test_given(self, expected: tuple[str, str | None], provider: str, key: str | None, secret: str | None) -> None:
        """What is not given is the provider's test value; `none` is no secret where nothing need be signed."""
        made = providers.load(provider).credentials(key, secret)
        assert expected == (made.app_key, made.app_secret)

    @pytest.mark.parametrize(
        ("which", "problem", "provider", "key", "secret"),
        [
            ("key", "it is empty; give it, or leave it out for the test key", "commsease", "", None),
            ("secret", "it is empty; give it, or leave it out for the test secret", "commsease", None, ""),
            ("key", "it is empty; give it, or leave it out for the test key", "commsease", "", ""),
            ("key", "it is not UTF-8; give it in UTF-8", "commsease", "a\ud800", None),
            ("key", "it is not UTF-8; give it in UTF-8", "commsease", "\udfffa", None),
            ("secret", "it is not UTF-8; give it in UTF-8", "commsease", None, "hush\udc80"),
            ("key", "it holds a line break or another control character; give it without", "commsease", "a\nb", None),
            ("key", "it holds a line break or another control character; give it without", "commsease", "a\x1b", "s"),
            (
                "secret",
                "rongcloud always signs; give it, or leave it out for the test secret",
                "rongcloud",
                None,
                "none",
            ),
        ],
    )
    def test_refused(self, which: str, problem: str, provider: str, key: str | None, secret: str | None) -> None:
        """What cannot be used is named, with the fix and without the secret."""
        with pytest.raises(BadCredentials) as refused:
            providers.load(provider).credentials(key, secret)
        assert (which, problem) == (refused.value.which, str(refused.value))


class TestCredentials:
    """Tests for `Credentials`."""

    @pytest.mark.parametrize(
        ("expected", "secret", "text"),
        [
            ("sign with ***, not ***", "hush-hush", "sign with hush-hush, not hush-hush"),
            ("sign with ***…", "hush-hush", "sign with hush-hus…"),
            ("sign with ***…", "hush-hush", "sign with hush-hu…"),
            ("sign with ***…", "hush-hush", "sign with hush-…"),
            ("sign with ***…", "hush-hush", "sign with hush…"),
            ("sign with hus…", "hush-hush", "sign with hus…"),
            ("sign with hush", "hush-hush", "sign with hush"),
            ("***…", "hush", "hush…"),
            ("so…", "so", "so…"),
            ("hush", None, "hush"),
            ("hush", "", "hush"),
        ],
    )
    def test_masked(self, expected: str, secret: str | None, text: str) -> None:
        """The secret is taken out, also where the text is cut off inside it; what is too short to be one is not looked for."""
        assert expected == Credentials("k", secret).masked(text)

    def test_repr(self) -> None:
        """The key shows, the secret does not."""
        assert "Credentials(app_key='k')" == repr(Credentials("k", "hush"))


class TestRequestWritten:
    """Tests for `Written`."""

    @pytest.mark.parametrize("name", providers.names())
    @given(payload=st.dictionaries(keys, json_values, max_size=6))
    @repeatable
    def test_same(self, name: str, payload: dict[str, Any]) -> None:
        """What the ledger has written goes out as if it were written now."""
        provider = providers.load(name)
        rest = ("http://h/cb?a=1", provider.defaults, Stamp(1_700_000_000_000, "7"))
        now = provider.feeds[0].request([Event("", payload)], *rest)
        written = provider.feeds[0].request(Written("", to_text([payload])), *rest)
        assert json.loads(now.body) == json.loads(written.body)
        if b"e-" not in written.body and b"e+" not in written.body:  # there numbers may be spelled in two ways
            assert now == written

    @pytest.mark.parametrize("name", providers.names())
    @pytest.mark.parametrize("payloads", [[], [{}, {}], [{"a": {}}, {"a": {}}], [{"a": "},{"}]])
    def test_number(self, name: str, payloads: list[dict[str, Any]]) -> None:
        """A request carries as many events as the provider's can, whether written or not."""
        provider = providers.load(name)
        rest = ("http://h/cb", provider.defaults, Stamp(1_700_000_000_000, "7"))
        if provider.feeds[0].batches or len(payloads) == 1:
            due = provider.feeds[0].request([Event("", payload) for payload in payloads], *rest)
            assert due == provider.feeds[0].request(Written("", to_text(payloads)), *rest)
        else:
            with pytest.raises(ValueError, match="values to unpack"):
                provider.feeds[0].request(Written("", to_text(payloads)), *rest)

    def test_surrogates(self) -> None:
        """Half a character, which no JSON text in UTF-8 can hold, is sent as its escape."""
        provider = providers.load("commsease")
        written = Written("", to_text([{"a": "\ud800"}]))
        request = provider.feeds[0].request(written, "http://h/cb", provider.defaults, Stamp(1_700_000_000_000, "7"))
        assert b'{"a":"\\ud800"}' == request.body
