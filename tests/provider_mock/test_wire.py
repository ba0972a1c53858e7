"""How a payload becomes bytes: every spelling exactly, and none changes the value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Credentials, Event, Stamp
from im_callback.provider_mock.wire import (
    AS_DOCUMENTED,
    COMMON,
    NamedWire,
    UnknownWire,
    Wire,
    combined,
    encode,
    java_hashmap_order,
)

from tests.provider_mock.strategies import json_values, repeatable, wires

PRINTED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "schemas" / "printed_bodies.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
# The samples in which the order of the keys says something: five to fifteen keys, printed as a HashMap has them.
HASHMAP_SAMPLES = [
    one
    for one in PRINTED
    if one["source"].startswith("CommsEase, Other")
    and (
        one["source"].endswith(("eventType 2, HTTP example", "eventType 3, HTTP example"))
        or "eventType 14," in one["source"]
        or "eventType 42," in one["source"]
    )
]
VALUE = {"b": "a/b", "a": [1, True, None, "键"], "c": {"y": 0.5, "x": -7}}


class TestEncode:
    """Tests for `encode`."""

    @pytest.mark.parametrize(
        ("expected", "wire"),
        [
            ('{"b":"a/b","a":[1,true,null,"键"],"c":{"y":0.5,"x":-7}}', Wire()),
            ('{"a":[1,true,null,"键"],"b":"a/b","c":{"x":-7,"y":0.5}}', Wire(key_order="alphabetical")),
            ('{"a":[1,true,null,"键"],"b":"a/b","c":{"x":-7,"y":0.5}}', Wire(key_order="java-hashmap")),
            ('{"b":"a\\/b","a":[1,true,null,"键"],"c":{"y":0.5,"x":-7}}', Wire(escapes="slashes")),
            ('{"b":"a/b","a":[1,true,null,"\\u952e"],"c":{"y":0.5,"x":-7}}', Wire(escapes="unicode")),
            (
                ' {"b" : "a/b" , "a" : [1 , true , null , "键"] , "c" : {"y" : 0.5 , "x" : -7}} ',
                Wire(spaces=True),
            ),
            ('{"b":"a/b","a":[1,true,null,"键"],"c":{"y":0.5,"x":-7}}\r\n', Wire(tail="\r\n")),
            ('{"b":"a/b","a":[1.0,true,null,"键"],"c":{"y":0.5,"x":-7.0}}', Wire(integers_as_floats=True)),
            (
                ' {"a" : [1.0 , true , null , "\\u952e"] , "b" : "a/b" , "c" : {"x" : -7.0 , "y" : 0.5}} \n',
                Wire(key_order="alphabetical", escapes="unicode", spaces=True, tail="\n", integers_as_floats=True),
            ),
        ],
    )
    def test_exact(self, expected: str, wire: Wire) -> None:
        """Byte for byte."""
        assert expected.encode() == encode(VALUE, wire)

    @repeatable
    @given(value=json_values, wire=wires)
    def test_same_value(self, value: Any, wire: Wire) -> None:
        """Whatever the spelling, the value is the same."""
        assert value == json.loads(encode(value, wire))

    @repeatable
    @given(value=json_values, wire=wires)
    def test_only_spelling(self, value: Any, wire: Wire) -> None:
        """The same value on the same wire gives the same bytes, and the value itself is left alone."""
        before = json.dumps(value)
        assert encode(value, wire) == encode(value, wire)
        assert before == json.dumps(value)

    @pytest.mark.parametrize(
        ("expected", "number"),
        [
            (b"9007199254740991.0", 2**53 - 1),
            (b"9007199254740992", 2**53),
            (b"-9007199254740992", -(2**53)),
            (b"0.0", 0),
            (b"true", True),
        ],
    )
    def test_floats_keep_the_number(self, expected: bytes, number: int) -> None:
        """Integers that a float cannot hold stay integers, and booleans stay booleans."""
        assert expected == encode(number, Wire(integers_as_floats=True))

    def test_embedded_json_is_text(self) -> None:
        """JSON inside a string is a string: its keys keep their order, its numbers their form."""
        wire = Wire(key_order="alphabetical", integers_as_floats=True)
        assert b'{"a":"{\\"z\\":1,\\"b\\":2}"}' == encode({"a": '{"z":1,"b":2}'}, wire)

    def test_escaped_backslash_before_a_solidus(self) -> None:
        """A backslash in front of a solidus is not mistaken for an escape."""
        assert b'"\\\\\\/"' == encode("\\/", Wire(escapes="slashes"))

    @pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
    def test_no_json(self, number: float) -> None:
        """What JSON has no word for is an error, not `NaN` on the wire."""
        with pytest.raises(ValueError, match="not JSON compliant"):
            encode({"a": number}, Wire())


class TestJavaHashMapOrder:
    """Tests for `java_hashmap_order`."""

    @pytest.mark.parametrize("sample", HASHMAP_SAMPLES, ids=lambda one: one["source"].rpartition("eventType ")[2])
    def test_documented_samples(self, sample: dict[str, str]) -> None:
        """The documents print the keys of login, logout, queue and heartbeat events in this order."""
        keys = list(json.loads(sample["body"]))
        assert keys == java_hashmap_order(keys)

    def test_samples_are_there(self) -> None:
        """The table above is not empty, and one sample that must not match does not."""
        assert 13 == len(HASHMAP_SAMPLES)
        sorted_by_hand = next(one for one in PRINTED if "eventType 2, cURL" in one["source"])
        keys = list(json.loads(sorted_by_hand["body"]))
        assert keys != java_hashmap_order(keys)

    @pytest.mark.parametrize(
        ("expected", "keys"),
        [
            # Printed by `new HashMap<>()` of Java 17 after `put` in the order on the right.
            ("", ""),
            ("x", "x"),
            (
                "clientType code clientIp customTag accid sdkVersion eventType deviceId timestamp",
                "accid clientIp clientType code customTag deviceId eventType sdkVersion timestamp",
            ),
            (
                "Aa BB C# a b msgType fromAccount eventType body convType msgTimestamp to attach",
                "Aa BB b a C# eventType msgType convType to fromAccount msgTimestamp attach body",
            ),
            (
                "fromNick msgType msgidServer fromAccount fromDeviceId eventType body convType msgidClient x to attach ext1",
                "ext1 eventType convType to fromAccount fromDeviceId fromNick msgType body attach msgidClient msgidServer x",
            ),
            # Four strings with one hash code: the order of insertion decides.
            ("x AaAa BBBB AaBB BBAa", "AaAa BBBB AaBB BBAa x"),
            ("x BBAa AaBB BBBB AaAa", "BBAa AaBB BBBB AaAa x"),
            # A character outside the basic plane counts as two.
            ("中文 😀 é 键 key", "中文 键 é 😀 key"),
        ],
    )
    def test_as_java(self, expected: str, keys: str) -> None:
        """Literals from a real Java."""
        assert expected.split() == java_hashmap_order(keys.split())

    @pytest.mark.parametrize(
        ("expected", "keys"), [("pabcdefghijk", "abcdefghijkp"), ("abcdefghijklp", "abcdefghijkpl")]
    )
    def test_doubling(self, expected: str, keys: str) -> None:
        """Twelve keys fit into 16 buckets; the thirteenth doubles the table, and `p` moves from bucket 0 to 16."""
        assert list(expected) == java_hashmap_order(list(keys))

    def test_payload(self) -> None:
        """Objects at every depth are reordered, lists are not."""
        payload = {"timestamp": [{"timestamp": 1, "accid": 2}, 0], "accid": 3}
        wire = Wire(key_order="java-hashmap")
        assert b'{"accid":3,"timestamp":[{"accid":2,"timestamp":1},0]}' == encode(payload, wire)


class TestWire:
    """Tests for what a `Wire` does to headers and to the request."""

    @pytest.mark.parametrize(
        ("expected", "case"),
        [
            (["Content-Type", "AppKey", "CurTime", "MD5", "CheckSum"], "documented"),
            (["content-type", "appkey", "curtime", "md5", "checksum"], "lower"),
            (["CONTENT-TYPE", "APPKEY", "CURTIME", "MD5", "CHECKSUM"], "upper"),
        ],
    )
    def test_header_case(self, expected: list[str], case: Any) -> None:
        """Names change their case, values do not."""
        provider = providers.load("commsease")
        requests = [
            provider.feeds[0].sign(b"{}", "", "http://h/", provider.defaults, Stamp(1, ""), wire)
            for wire in (Wire(header_case=case), Wire())
        ]
        assert expected == [name for name, _ in requests[0].headers]
        assert [value for _, value in requests[1].headers] == [value for _, value in requests[0].headers]

    @pytest.mark.parametrize("name", ["commsease", "rongcloud", "tencent"])
    @pytest.mark.parametrize(
        ("expected", "content_type"),
        [
            (["application/json"], AS_DOCUMENTED),
            (["application/json;charset=utf-8"], "application/json;charset=utf-8"),
            ([], None),
        ],
    )
    def test_content_type(self, name: str, expected: list[str], content_type: str | None) -> None:
        """The documented Content-Type, another one, or none at all."""
        provider = providers.load(name)
        wire = Wire(content_type=content_type)
        request = provider.feeds[0].sign(b"{}", "", "http://h/", provider.defaults, Stamp(1, ""), wire)
        assert expected == [value for header, value in request.headers if header == "Content-Type"]

    @pytest.mark.parametrize("name", ["commsease", "rongcloud", "tencent"])
    @pytest.mark.parametrize("chunked", [True, False])
    def test_chunked(self, name: str, chunked: bool) -> None:
        """Chunking is a property of the request; its body and its signature are the same."""
        provider = providers.load(name)
        event = Event("x.y", {"a": 1})
        request = provider.feeds[0].request(
            [event], "http://h/", Credentials("k", "s"), Stamp(1, "2"), Wire(chunked=chunked)
        )
        plain = provider.feeds[0].request([event], "http://h/", Credentials("k", "s"), Stamp(1, "2"))
        assert chunked is request.chunked
        assert (plain.url, plain.headers, plain.body) == (request.url, request.headers, request.body)


class TestNamed:
    """Wires that are asked for by name."""

    @pytest.mark.parametrize("provider", providers.names())
    def test_each(self, provider: str) -> None:
        """Every name stands for something else than the documented wire, and says what in one line."""
        known = providers.load(provider).wires
        assert all(one.wire != Wire() for one in known.values())
        assert len(known) == len({one.wire for one in known.values()})
        for name, one in known.items():
            assert one.description
            assert "\n" not in one.description
            assert one.wire == combined([name], known)

    def test_only_where_there_is_such(self) -> None:
        """Arrays, old names and two sets of names for headers are RongCloud's alone; each provider has its own."""
        own = {name: set(providers.load(name).wires) - set(COMMON) for name in ("commsease", "rongcloud", "tencent")}
        assert {"lone-object", "legacy-names", "plain-headers"} == own["rongcloud"]
        assert not own["rongcloud"] & (own["commsease"] | own["tencent"])

    def test_combined(self) -> None:
        """Several names add up."""
        assert Wire(key_order="java-hashmap", escapes="unicode") == combined(["java-hashmap", "ascii"], COMMON)
        assert Wire(chunked=True) == combined(["chunked", "chunked"], COMMON)
        assert Wire() == combined([], COMMON)

    @pytest.mark.parametrize(
        ("expected", "names"),
        [
            (
                "no wire is called 'java'; did you mean 'java-hashmap'\\? provider-mock events --wires lists them",
                ["java"],
            ),
            ("no wire is called ''", [""]),
            ("alphabetical and java-hashmap exclude each other; give one", ["java-hashmap", "alphabetical"]),
            ("ascii and escaped-slashes exclude each other", ["escaped-slashes", "ascii"]),
        ],
    )
    def test_refused(self, expected: str, names: list[str]) -> None:
        """A name that is not known, or two that exclude each other, are named."""
        with pytest.raises(UnknownWire, match=expected):
            combined(names, COMMON)

    def test_own(self) -> None:
        """A provider's own wires are found beside the common ones."""
        known = {**COMMON, "tabs": NamedWire(Wire(tail="\t"), "a tab after the text")}
        assert Wire(tail="\t", chunked=True) == combined(["tabs", "chunked"], known)

    @pytest.mark.parametrize(("count", "beginning"), [(1, b"{"), (2, b"[{")])
    def test_lone_object(self, count: int, beginning: bytes) -> None:
        """A batch of one goes out without its array; a larger one cannot."""
        provider = providers.load("rongcloud")
        event = Event("rongcloud.chatroom-kv", provider.catalogue["rongcloud.chatroom-kv"].examples[0])
        request = provider.feeds[0].request(
            [event] * count, "http://h/", provider.defaults, Stamp(1, "2"), Wire(lone_object=True)
        )
        assert request.body.startswith(beginning)
        assert count == len(provider.feeds[0].payloads(json.loads(request.body)))

    @pytest.mark.parametrize("provider", providers.names())
    def test_parameters(self, provider: str) -> None:
        """Every parameter is found in a request under the name that the wire gives it."""
        one = providers.load(provider).feeds[0]
        event_type = next(each for each in one.event_types if each.examples)
        event = Event(event_type.name, event_type.examples[0])
        for name, named in one.wires.items():
            request = one.request([event], "http://h/", one.provider.defaults, Stamp(1, "2"), named.wire)
            given = [parameter.values(request) for parameter in one.parameters_in(named.wire)]
            assert [1] * len(one.parameters) == [len(values) for values in given], name
            roles = [parameter.role for parameter in one.parameters]
            assert given == [one.parameter(role, named.wire).values(request) for role in roles]
