"""The catalogue of changes: what each does anywhere, and that none is without effect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from im_callback.provider_mock import providers
from im_callback.provider_mock.contract import Event, Feed, Parameter, Stamp
from im_callback.provider_mock.delivery.bodies import BODIES
from im_callback.provider_mock.delivery.changes import KINDS, CannotChange, Change, Way, another, judged, made, next_to
from im_callback.provider_mock.history import Shot
from im_callback.provider_mock.wire import Wire

from tests.feeds import changed, first
from tests.provider_mock_faults.sending import NOW, PAYLOADS, Planned

FORM = {"encoding": "form", "content_type": "application/x-www-form-urlencoded"}


def shot(
    *changes: Change,
    provider: str = "commsease",
    payload: dict[str, Any] | None = None,
    way: Way | None = None,
    **traits: Any,
) -> Shot:
    """Return a delivery with changes, of a feed with other traits, judged by the feed's own rule."""
    service = changed(providers.load(provider), **traits)
    name, usual = PAYLOADS[provider]
    events = [Event(name, usual(0) if payload is None else payload)]
    way = way or Way("http://127.0.0.1/cb", Wire())
    found = made(first(service), events, service.defaults, Stamp(NOW, "n1"), way, changes)
    return judged(found, service.defaults, NOW)


class TestChange:
    """Naming one."""

    def test_unknown(self) -> None:
        """A kind, or a value, that nobody knows is an error as soon as it is named."""
        with pytest.raises(CannotChange, match=r"no change is called 'unheard-of'; choose one of: secret, app, break"):
            Change("unheard-of")
        with pytest.raises(
            CannotChange, match=r"the change secret knows no 'mine'; choose one of: other, empty, app-key"
        ):
            Change("secret", value="mine")

    @pytest.mark.parametrize(
        ("due", "text"), [("1700000010", "1700000009"), ("1000", "999"), ("008", "007"), ("abcb", "abca"), ("x8", "x7")]
    )
    def test_next(self, due: str, text: str) -> None:
        """A number becomes the next one, whatever its digits: a receiver that tries neighbours must take it each time."""
        assert due == next_to(text)

    @pytest.mark.parametrize("kind", KINDS)
    def test_documented(self, kind: str) -> None:
        """Each stands in the table."""
        assert f"`{kind}`" in str(Change.__doc__)


class TestNothingToDo:
    """What finds nothing to do says so, and names what is missing."""

    @pytest.mark.parametrize(
        ("change", "traits", "error"),
        [
            (Change("alter", "nonce"), {}, "commsease.data-sync has no parameter 'nonce' that could be changed"),
            (Change("digest"), {"provider": "rongcloud"}, "has no parameter 'digest'"),
            (Change("body", "", "recompute"), {"provider": "rongcloud"}, "has no parameter 'digest'"),
            (Change("app"), {"parameters": (Parameter("MD5", "header", "digest"),)}, "names no application"),
            (Change("break", value="null"), FORM, "sends forms, which cannot be broken by 'null'; choose one of: cut,"),
            (Change("break", value="duplicate-keys"), {"payload": {}}, "has nothing in it that 'duplicate-keys' could"),
            (Change("break", value="invalid-utf8"), {"payload": {}}, "has nothing in it that 'invalid-utf8' could"),
            (Change("body"), {"payload": {}}, "holds no text and no number that could be changed"),
            (Change("signature", value="40"), {}, "signature finds nothing to do"),
            (Change("pad", value="3"), {}, "pad finds nothing to do in a request of commsease.data-sync: a body of"),
            (Change("method", value="POST"), {}, "by POST, it is so already"),
            (Change("time", value="soon"), {}, "CurTime is '1700000000000', to which 'soon' cannot be added"),
            (Change("parameters"), {}, "no other request is there"),
            (Change("secret", value="previous"), {}, "no previous secret is set; give an app of provider-mock serve one"),
        ],
    )  # fmt: skip
    def test_error(self, change: Change, traits: dict[str, Any], error: str) -> None:
        """It is never sent undisturbed."""
        with pytest.raises(CannotChange, match="^.*" + error.replace("(", r"\(")):
            shot(change, **traits)

    def test_known_before_anything_is_sent(self) -> None:
        """Of each event type, when the plan is made."""
        planned = Planned("http://127.0.0.1/", "tamper-body", count=2)
        planned.maker.check(planned.plan)
        planned.maker.batches = [planned.maker.batches[0], [Event("commsease.logout", {})]]
        with pytest.raises(CannotChange, match=r"a body of commsease\.logout holds no text"):
            planned.maker.check(planned.plan)

    def test_written_the_same(self) -> None:
        """A fault after which requests are written as ever is none."""
        planned = Planned("http://127.0.0.1/", "content-type:value=application/json")
        with pytest.raises(CannotChange, match=r"requests of commsease\.data-sync are the same"):
            planned.maker.check(planned.plan)


class TestBodies:
    """Broken bodies, in every encoding."""

    @pytest.mark.parametrize(("encoding", "kind"), [(one, kind) for one, kinds in BODIES.items() for kind in kinds])
    def test_each(self, encoding: str, kind: str) -> None:
        """Each is another body, signed as it stands, and broken."""
        there = shot(Change("break", value=kind), encoding=encoding)
        feed: Feed = there.feed
        assert there.request.body != feed.body(there.events)
        assert (True, False) == (there.broken, there.forged)
        assert there.note

    def test_key_in_the_body(self) -> None:
        """What a feed puts into the body beside the event is still there, and signed for the right application."""
        service = providers.load("rongcloud")
        event_type = service.catalogue["rongcloud.pre-message"]
        events = [Event(event_type.name, event_type.examples[0])]
        way, usual = Way("http://127.0.0.1/cb", Wire()), service.defaults
        feed = service.feed_of(event_type.name)
        found = made(feed, events, usual, Stamp(NOW, "n1"), way, [Change("break", value="invalid-utf8")])
        assert b"appKey=test-key&" in found.request.body
        assert b"%FF%FE" in found.request.body
        padded = made(feed, events, usual, Stamp(NOW, "n1"), way, [Change("break", "PERSON", "invalid-utf8")])
        assert not judged(padded, usual, NOW).forged

    def test_hits(self) -> None:
        """Bytes that are no UTF-8 go into the text that is named, or into the first one."""
        for name, due in (
            ("zhang0", b'"zha\xff\xfeng0"'),
            ("nowhere", b'{"\xff\xfeeventType'),
            ("", b'{"\xff\xfeeventType'),
        ):
            assert due in shot(Change("break", name, "invalid-utf8")).request.body
        assert b"accid=zha%FF%FEng0" in shot(Change("break", "zhang0", "invalid-utf8"), encoding="form").request.body


class TestChanged:
    """What comes out."""

    def test_content(self) -> None:
        """Outside of the identity, a text, or a member more."""
        payload = {**PAYLOADS["commsease"][1](0), "clientIp": "1.2.3.4"}
        found = shot(Change("body", "content"), payload=payload)
        assert {**payload, "clientIp": "1.2.3.5"} == found.events[0].payload == json.loads(found.request.body)
        assert found.forged
        only = PAYLOADS["commsease"][1](0)
        assert {**only, "extension": "1"} == shot(Change("body", "content"), payload=only).events[0].payload

    def test_number(self) -> None:
        """Where there is no text, a number."""
        payload = {"chatroomId": "", "key": "", "version": 7, "optType": 1, "value": ""}
        found = shot(Change("body"), provider="rongcloud", payload=payload)
        assert {**payload, "optType": 2} == found.events[0].payload

    def test_spelled(self) -> None:
        """Parameters are found by the names that the wire gives them."""
        way = Way("http://127.0.0.1/cb", Wire(legacy_names=True))
        found = shot(Change("time", value="1"), provider="rongcloud", way=way)
        assert f"signTimestamp={NOW + 1}" in found.request.url

    def test_parameters_of_another(self) -> None:
        """All of them come from the donor."""
        donor = shot(payload=PAYLOADS["commsease"][1](1)).request
        found = shot(Change("parameters"), way=Way("http://127.0.0.1/cb", Wire(), donor))
        assert sorted(donor.headers) == sorted(found.request.headers)
        assert found.forged

    @pytest.mark.parametrize(
        ("text", "due"),
        [
            ("n1", "n2"),
            ("9", "0"),
            ("", "a"),
            ("1B2M2Y8AsgTpgAmY7PhCfg==", "1B2M2Y8AsgTpgAmY7PhCag=="),
            ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427a"),
        ],
    )
    def test_another(self, text: str, due: str) -> None:
        """The last character, or in base64 one whose bits all count."""
        assert due == another(text)

    def test_forged_is_the_feeds_word(self) -> None:
        """Twice the same value is none that the feed takes; another secret's signature neither."""
        assert shot(Change("double", "CurTime")).forged
        assert shot(Change("secret", "mine", "other")).forged
        assert "mine" in shot(Change("secret", "mine", "other")).credentials.secrets  # type: ignore[union-attr]
