"""The judge: hand-written histories and records, and a slow second opinion on how they are matched."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback import schemas
from im_callback.conformance.judge import (
    AmbiguousRecord,
    Effects,
    Matcher,
    Occurrence,
    duplicated,
    in_record,
    lost,
    occurrences_of,
    phantoms,
    rank_of,
    scope_of,
    shown_among,
    steps_back,
    superseded,
    text,
)
from im_callback.provider_mock.contract import Event
from im_callback.schemas import MISSING, EventType, catalogue

COMMSEASE, RONGCLOUD, TENCENT = (catalogue(name) for name in ("commsease", "rongcloud", "tencent"))


def login(accid: str = "ann", time: str = "1000", **more: Any) -> Event:
    """Return a login."""
    payload = {"eventType": "2", "accid": accid, "clientType": "AOS", "deviceId": "d1", "timestamp": time, **more}
    return Event("commsease.login", payload)


def logout(accid: str = "ann", time: str = "1000", **more: Any) -> Event:
    """Return a logout."""
    payload = {**login(accid, time).payload, "eventType": "3", **more}
    return Event("commsease.logout", payload)


def message(key: str = "m1", **more: Any) -> Event:
    """Return a message of a conversation."""
    return Event("commsease.conversation", {"eventType": "1", "convType": "PERSON", "msgidServer": key, **more})


def attribute(version: int, kind: int = 1, *, room: str = "r", **more: Any) -> Event:
    """Return an operation on the attributes of a chat room: 1 sets, 2 deletes, 3 deletes all."""
    return Event("rongcloud.chatroom-kv", {"chatroomId": room, "optType": kind, "version": version, **more})


def receipts(*numbers: tuple[Any, Any]) -> Event:
    """Return a list of SMS receipts, embedded as text, as it is sent."""
    objects = [{"sendid": sendid, "mobile": mobile} for sendid, mobile in numbers]
    return Event("commsease.sms-receipt", {"eventType": "11", "objects": json.dumps(objects)})


def of(event: Event) -> Occurrence:
    """Return the one thing that an event says happened."""
    (one,) = occurrences_of(catalogue(event.type.partition(".")[0])[event.type], event)
    return one


def seen(events: list[Event], records: list[Any]) -> Effects:
    """Return the effects that records are, after these events were sent."""
    matcher = Matcher(catalogue(events[0].type.partition(".")[0]))
    matcher.add(events)
    return matcher.match(records)


class TestText:
    """Tests for `text`."""

    @pytest.mark.parametrize(
        ("expected", "value"),
        [
            ("", MISSING),
            ("", None),
            ("", ""),
            ("0", 0),
            ("0", "0"),
            ("7", 7),
            ("7", 7.0),
            ("7.5", 7.5),
            ("7.0", "7.0"),
            ("-3", -3),
            ("true", True),
            ("false", False),
            ("18446744073709551616", 2**64),
            ("1.50", Decimal("1.50")),
            ("nan", float("nan")),
            ("inf", float("inf")),
            ('{"a": 1}', {"a": 1}),
            ("[1, null]", [1, None]),
            ('{"on": "2024-05-01"}', {"on": date(2024, 5, 1)}),
            (" a ", " a "),
        ],
    )
    def test_table(self, expected: str, value: Any) -> None:
        """Numbers and their texts are the same, and so are absent, null and empty."""
        assert expected == text(value)


class TestOccurrencesOf:
    """Tests for `occurrences_of` and `Occurrence`."""

    def test_elements(self) -> None:
        """Each element of an embedded list happened by itself."""
        event = receipts((1490, "186"), ("1491", 186))
        assert [("1490", "186"), ("1491", "186")] == [
            one.identity for one in occurrences_of(COMMSEASE[event.type], event)
        ]

    def test_no_identity(self) -> None:
        """Nothing can be said about a type without identity."""
        assert [] == occurrences_of(COMMSEASE["commsease.chatroom-queue"], Event("commsease.chatroom-queue", {}))

    def test_embedded(self) -> None:
        """An identity may lie inside a text that holds JSON."""
        event = Event("commsease.line-call-ended", {"eventType": "10", "callback": '{"session":"s-1"}'})
        assert ("s-1",) == of(event).identity

    def test_str(self) -> None:
        """It reads as its type and what is known of its identity."""
        assert "commsease.login (2, ann, AOS, 1000)" == str(of(login(deviceId="")))


class TestInRecord:
    """Tests for `in_record`."""

    @pytest.mark.parametrize(
        ("expected", "record"),
        [
            ("s", {"callback": {"session": "s"}}),
            ("s", {"callback": '{"session":"s"}'}),
            ("s", {"session": "s"}),
            ("inner", {"session": "flat", "callback": {"session": "inner"}}),
            ("s", {"session": "s", "callback": "no JSON"}),
            ("s", {"session": "s", "callback": "[" * 100_000}),
            (MISSING, {"callback": {}}),
            (MISSING, {}),
        ],
    )
    def test_table(self, expected: Any, record: dict[str, Any]) -> None:
        """A field is found where the payload has it, through embedded JSON too, or flat under its last name."""
        assert expected == in_record(record, "/callback/session")


class TestMatch:
    """Tests for `Matcher.match`: which event a record stands for."""

    @pytest.mark.parametrize(
        "record",
        [
            pytest.param(login().payload, id="the payload itself"),
            pytest.param({**login().payload, "timestamp": 1000}, id="a number for a text"),
            pytest.param({**login().payload, "timestamp": 1000.0}, id="a float for a text"),
            pytest.param({**login().payload, "id": 4711, "note": None, 7: 7}, id="fields of its own"),
            pytest.param({"accid": "ann", "timestamp": "1000", "eventType": 2}, id="fewer fields"),
            pytest.param({"accid": "ann", "eventType": "2"}, id="one telling field"),
            pytest.param({**login().payload, "deviceId": None}, id="null for a value"),
            pytest.param({**login().payload, "deviceId": ""}, id="empty for a value"),
            pytest.param({**login().payload, "eventType": None}, id="a column for the type, not filled"),
        ],
    )
    def test_fits(self, record: dict[str, Any]) -> None:
        """A record stands for the one event that it does not contradict."""
        events = [login(), login("bob"), message()]
        effects = seen(events, [record])
        assert (of(login()),) == effects.order
        assert (record,) == effects.records
        assert 1 == effects.count(of(login()))
        assert 0 == effects.count(of(login("bob")))

    @pytest.mark.parametrize(
        "record",
        [
            pytest.param({}, id="nothing"),
            pytest.param({"eventType": "2"}, id="only the type"),
            pytest.param({"eventType": "2", "accid": None, "deviceId": ""}, id="only the type, and empty columns"),
            pytest.param({"x": "ann"}, id="other names"),
            pytest.param({**login().payload, "accid": "eve"}, id="never sent"),
            pytest.param({**login().payload, "timestamp": "1001"}, id="one field differs"),
            pytest.param({**login().payload, "eventType": "3"}, id="the type says otherwise"),
            pytest.param({**login().payload, "eventType": "77"}, id="an unknown type"),
            pytest.param({**login().payload, "accid": "Ann"}, id="another case"),
            pytest.param({**login().payload, "accid": " ann"}, id="white space"),
        ],
    )
    def test_fits_nothing(self, record: dict[str, Any]) -> None:
        """A record that contradicts every event, or says nothing, is left out."""
        effects = seen([login(), message()], [record])
        assert () == effects.order
        assert {} == dict(effects.ambiguous)

    def test_ambiguous(self) -> None:
        """A record that fits several events counts for none, and asking for one of them says so."""
        record = {"eventType": "2", "timestamp": "1000"}
        effects = seen([login(), login("bob"), login("cat", "2000")], [record])
        assert () == effects.order
        for one in (login(), login("bob")):
            with pytest.raises(AmbiguousRecord, match="fields eventType, timestamp fits several events") as caught:
                effects.count(of(one))
            assert of(one) == caught.value.occurrence
            assert "identity fields" in caught.value.fix
        assert 0 == effects.count(of(login("cat", "2000")))

    def test_ambiguous_names(self) -> None:
        """Field names that are no text are printed all the same."""
        effects = seen([login(), login("bob")], [{7: 7, "timestamp": 1000}])
        with pytest.raises(AmbiguousRecord, match="fields 7, timestamp"):
            effects.count(of(login()))

    def test_ambiguous_and_known(self) -> None:
        """What has a record of its own can be counted, though another record might stand for it too."""
        effects = seen([login(), login("bob")], [{"timestamp": "1000"}, login().payload])
        assert 1 == effects.count(of(login()))
        with pytest.raises(AmbiguousRecord):
            effects.count(of(login("bob")))

    def test_most_fields_win(self) -> None:
        """Without a type in the record, the event type of which it carries most fields is taken."""
        call = Event("commsease.signal", {"eventType": "31", "type": "INVITE", "channelId": "7", "from": "ann"})
        other = Event("commsease.antispam", {"eventType": "20", "objects": [{"type": "INVITE", "serverMsgId": "9"}]})
        record = {"type": "INVITE", "channelId": "7"}
        for events in ([call, other], [other, call]):
            assert (of(call),) == seen(events, [record]).order

    def test_whole_wins(self) -> None:
        """A record with every identity field of one event stands for it, whatever else it might be part of."""
        whole = login(deviceId="")
        effects = seen([login(), login(deviceId="d2"), whole], [whole.payload])
        assert (of(whole),) == effects.order

    def test_login_or_logout(self) -> None:
        """Two types with the same fields are told apart by the type alone; without it the record is ambiguous."""
        events = [login(), logout()]
        assert (of(logout()),) == seen(events, [{**login().payload, "eventType": 3}]).order
        bare = {key: value for key, value in login().payload.items() if key != "eventType"}
        assert {of(login()), of(logout())} == set(seen(events, [bare]).ambiguous)

    def test_empty_columns_name_no_event(self) -> None:
        """A table with a column for everything does not make its rows an event without identity."""
        empty = Event("commsease.conversation", {"eventType": "1"})
        row = {**login().payload, "convType": None, "msgidServer": None, "eventType": None}
        assert (of(login()),) == seen([empty, login()], [row]).order

    @pytest.mark.parametrize(
        "record",
        [
            {"callback": {"session": "s1"}},
            {"callback": '{"session":"s1"}'},
            {"session": "s1"},
            {"session": "s1", "callback": "x"},
        ],
    )
    def test_embedded(self, record: dict[str, Any]) -> None:
        """An identity inside embedded JSON is found nested, embedded or flat."""
        events = [
            Event("commsease.line-call-ended", {"eventType": "10", "callback": json.dumps({"session": name})})
            for name in ("s1", "s2")
        ]
        assert (of(events[0]),) == seen(events, [record]).order

    def test_elements(self) -> None:
        """Each element of a list has a record of its own."""
        event = receipts((1, "186"), (2, "186"))
        first, second = occurrences_of(COMMSEASE[event.type], event)
        effects = seen([event], [{"sendid": 2, "mobile": 186}, {"sendid": "1"}, {"sendid": "2", "mobile": "186"}])
        assert (second, first, second) == effects.order
        assert {second} == set(duplicated(effects))

    def test_sent_later(self) -> None:
        """Events that are added after records were matched are found as well, and make records ambiguous."""
        matcher = Matcher(COMMSEASE)
        matcher.add([login()])
        partial = {"timestamp": "1000", "eventType": "2"}
        assert (of(login()),) == matcher.match([partial]).order
        matcher.add([login("bob", "2000")])
        assert (of(login()), of(login("bob", "2000"))) == matcher.match([partial, {"accid": "bob"}]).order
        matcher.add([login("cat")])
        assert () == matcher.match([partial]).order

    def test_sent_twice(self) -> None:
        """An event that is sent again is still one event."""
        effects = seen([login(), login()], [{"accid": "ann"}])
        assert (of(login()),) == effects.order

    @pytest.mark.parametrize(
        ("expected", "record"),
        [
            ({"k1"}, {"chatroomId": "r", "key": "k1"}),
            ({"k1"}, {"version": 1}),
            ({""}, {"chatroomId": "r", "version": 3, "optType": 3}),
            ({""}, {"chatroomId": "r", "key": "", "version": 3, "optType": 3}),
            ({""}, {"chatroomId": "r", "key": None, "version": 3, "optType": "3"}),
            (set(), {"chatroomId": "r", "key": "k1", "version": 3, "optType": 3}),
            ({"k1", "k2", ""}, {"chatroomId": "r"}),
        ],
    )
    def test_rooms(self, expected: set[str], record: dict[str, Any]) -> None:
        """A removal of all attributes has no key, whether the record has none, an empty one, or null."""
        effects = seen([attribute(1, key="k1"), attribute(2, key="k2"), attribute(3, 3)], [record])
        assert expected == {one.identity[1] for one in (*effects.order, *effects.ambiguous)}


def model(events: list[Event], record: dict[str, Any]) -> set[Occurrence]:
    """Return what a record may stand for, looking at every event and every field."""
    elements: dict[Occurrence, Any] = {}
    partial: list[tuple[int, Occurrence]] = []
    whole: list[Occurrence] = []
    for event in events:
        event_type: EventType = COMMSEASE[event.type]
        properties = event_type.schema["properties"]
        fixed = {f"/{name}": str(rule["const"]) for name, rule in properties.items() if "const" in rule}
        given = {name: text(record.get(name[1:])) for name in fixed}
        if any(given[name] and given[name] != fixed[name] for name in fixed):
            continue
        for one, element in zip(
            occurrences_of(event_type, event), schemas.occurrences(event_type, event.payload), strict=True
        ):
            elements.setdefault(one, element)
            pairs = [
                (text(in_record(record, name)), due)
                for name, due in zip(event_type.identity or (), one.identity, strict=True)
            ]
            few = {f"/{name}" for name, rule in properties.items() if "const" in rule or "enum" in rule}
            telling = [text(in_record(record, name)) for name in event_type.identity or () if name not in few]
            if not any(telling):
                continue
            if all(have == due for have, due in pairs):
                whole.append(one)
            elif all(have in ("", due) for have, due in pairs):
                partial.append((sum(have != "" for have, _ in pairs), one))
    if whole:
        return set(whole)
    most = max((count for count, _ in partial), default=0)
    best = {one for count, one in partial if count == most}
    # Where the identity leaves it open, all else that the record says decides, if it fits one alone.
    agreeing = {one for one in best if all(text(v) in ("", text(elements[one].get(n, v))) for n, v in record.items())}
    return agreeing if len(agreeing) == 1 else best


FEW = st.sampled_from(["a", "b", "", "7"])
EVENTS = st.one_of(
    st.builds(lambda a, t, d: login(a, t, deviceId=d), FEW, FEW, FEW),
    st.builds(lambda a, t, d: logout(a, t, deviceId=d), FEW, FEW, FEW),
    st.builds(message, FEW),
    st.builds(receipts, st.tuples(FEW, FEW), st.tuples(FEW, FEW)),
    st.builds(
        lambda a, c, t: Event(
            "commsease.heartbeat", {"eventType": "42", "accid": a, "consid": c, "timestamp": t}
        ),
        FEW, FEW, FEW,
    ),
)  # fmt: skip
RECORDS = st.dictionaries(
    st.sampled_from(
        ["eventType", "accid", "clientType", "deviceId", "timestamp", "consid", "convType", "msgidServer", "sendid"]
    ),
    st.sampled_from(["a", "b", "", None, "7", 7, 7.0, "AOS", "PERSON", "2", 3, "42", "11"]),
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], list[dict[str, Any]]]:
    """Draw events, and records of which some are cut from the events."""
    events = draw(st.lists(EVENTS, min_size=1, max_size=6))
    records = draw(st.lists(RECORDS, max_size=4))
    for event in draw(st.lists(st.sampled_from(events), max_size=5)):
        kept = draw(st.sets(st.sampled_from(sorted(event.payload))))
        # Whole payloads that report several things have tests of their own.
        records.append({name: value for name, value in event.payload.items() if name in kept - {"objects"}})
    return events, draw(st.permutations(records))


class TestModel:
    """The matcher against the slow model above."""

    @given(histories())
    @settings(max_examples=400)
    def test_agree(self, history: tuple[list[Event], list[dict[str, Any]]]) -> None:
        """Both find the same events for a record."""
        events, records = history
        for record in records:
            effects = seen(events, [record])
            fitting = model(events, record)
            if len({one.type for one in fitting}) > 1 and effects.order:
                # Two types that a record fits whole: either will do.
                assert effects.order[0] in fitting
            else:
                assert fitting == {*effects.order, *effects.ambiguous}
                assert (len(fitting) == 1) == bool(effects.order)

    @given(histories(), st.randoms(use_true_random=False))
    def test_permuted(self, history: tuple[list[Event], list[dict[str, Any]]], random: Any) -> None:
        """The order of the records changes no count."""
        events, records = history
        shuffled = random.sample(records, len(records))
        one, other = seen(events, records), seen(events, shuffled)
        assert one.counts == other.counts
        assert set(one.ambiguous) == set(other.ambiguous)
        assert sorted(map(str, duplicated(one))) == sorted(map(str, duplicated(other)))

    @given(histories())
    def test_added_one_by_one(self, history: tuple[list[Event], list[dict[str, Any]]]) -> None:
        """Events that are added with matching in between give the same as those added at once."""
        events, records = history
        matcher = Matcher(COMMSEASE)
        for event in events:
            matcher.add([event])
            matcher.match(records)
        assert seen(events, records).order == matcher.match(records).order


class TestLost:
    """Tests for `lost`, `phantoms` and `duplicated`."""

    def test_lost(self) -> None:
        """What was acknowledged and does not show is lost, each once, in the order of acknowledgement."""
        events = [login(str(n)) for n in range(4)]
        effects = seen(events, [events[1].payload])
        due = [of(event) for event in (events[2], events[1], events[0], events[2])]
        assert [of(events[2]), of(events[0])] == lost(due, effects)
        assert [of(events[0])] == lost(due, effects, [of(events[2])])
        assert [] == lost([], effects)

    def test_lost_ambiguous(self) -> None:
        """Whether it is lost cannot be told where a record may stand for it."""
        effects = seen([login(), login("bob")], [{"timestamp": "1000"}])
        with pytest.raises(AmbiguousRecord):
            lost([of(login())], effects)

    def test_phantoms(self) -> None:
        """What must not show and does is a phantom, once however often it shows."""
        effects = seen([login(), login("bob")], [login().payload, login().payload])
        assert [of(login())] == phantoms([of(login()), of(login("bob")), of(login())], effects)

    def test_duplicated(self) -> None:
        """What shows twice is doubled, whole or cut records alike."""
        effects = seen([login(), login("bob")], [login().payload, {"accid": "ann"}, login("bob").payload])
        assert [of(login())] == duplicated(effects)

    def test_nothing(self) -> None:
        """Without records there is no phantom and nothing doubled."""
        assert ([], []) == (phantoms([of(login())], Effects()), duplicated(Effects()))


class TestOrder:
    """Tests for `rank_of`, `scope_of` and `steps_back`."""

    @pytest.mark.parametrize(
        ("expected", "element"),
        [
            ((5, 9), {"MsgTime": 5, "MsgSeq": 9}),
            ((5, 2**32 - 1), {"MsgTime": "5", "MsgSeq": float(2**32 - 1)}),
            ((-5, 0), {"MsgTime": -5, "MsgSeq": "0"}),
            (None, {"MsgTime": 5}),
            (None, {"MsgTime": 5, "MsgSeq": ""}),
            (None, {"MsgTime": 5, "MsgSeq": "x"}),
            (None, {"MsgTime": 5, "MsgSeq": "²"}),
            (None, {"MsgTime": 5, "MsgSeq": "--1"}),
            (None, {"MsgTime": 5.5, "MsgSeq": 1}),
        ],
    )
    def test_rank(self, expected: Any, element: dict[str, Any]) -> None:
        """Ranks are numbers, however they are written; without numbers there is no rank."""
        order = TENCENT["tencent.c2c-after-send"].order
        assert order is not None
        assert expected == rank_of(order, element)

    def test_scope(self) -> None:
        """A scope is the group and the values within which elements are ordered."""
        order = RONGCLOUD["rongcloud.chatroom-kv"].order
        assert order is not None
        assert ("rongcloud.chatroom-kv", "7", "k") == scope_of(order, {"chatroomId": 7, "key": "k"})
        assert ("rongcloud.chatroom-kv", "7", "") == scope_of(order, {"chatroomId": "7"})

    def test_shared_scope(self) -> None:
        """Login and logout of an account are ordered together."""
        one, other = COMMSEASE["commsease.login"].order, COMMSEASE["commsease.logout"].order
        assert one is not None
        assert other is not None
        assert scope_of(one, login().payload) == scope_of(other, logout().payload)

    @pytest.mark.parametrize(
        ("expected", "ranks"),
        [
            (None, []),
            (None, [(1,)]),
            (None, [(1,), (1,), (2,)]),
            ((0, 1), [(2,), (1,)]),
            ((1, 2), [(1,), (3,), (2,), (0,)]),
            ((1, 2), [(1, 9), (2, 5), (2, 3)]),
            (None, [(1, 9), (2, 3), (2, 5)]),
        ],
    )
    def test_steps_back(self, expected: Any, ranks: list[tuple[int, ...]]) -> None:
        """The first older one after a newer one."""
        assert expected == steps_back(ranks)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6))
    def test_sorted(self, ranks: list[tuple[int, ...]]) -> None:
        """There is no step back exactly where the list is sorted."""
        assert (steps_back(ranks) is None) == (sorted(ranks) == ranks)


class TestSuperseded:
    """Tests for `superseded`."""

    @pytest.mark.parametrize(
        ("gone", "events"),
        [
            pytest.param([], [attribute(1, key="a")], id="alone"),
            pytest.param([0], [attribute(1, key="a"), attribute(2, key="a")], id="a newer one"),
            pytest.param([1], [attribute(2, key="a"), attribute(1, key="a")], id="arrival does not matter"),
            pytest.param([], [attribute(1, key="a"), attribute(2, key="b")], id="another key"),
            pytest.param([], [attribute(1, key="a"), attribute(2, key="a", room="s")], id="another room"),
            pytest.param([0, 1], [attribute(1, key="a"), attribute(2, 2, key="a")], id="deleted"),
            pytest.param([0], [attribute(1, 2, key="a"), attribute(2, key="a")], id="set again"),
            pytest.param([1], [attribute(1, key="b"), attribute(2, 2, key="a")], id="another one deleted"),
            pytest.param([0, 1, 2], [attribute(1, key="a"), attribute(2, key="b"), attribute(3, 3)], id="all deleted"),
            pytest.param([0, 1], [attribute(1, key="a"), attribute(2, 3, key="")], id="all deleted, key empty"),
            pytest.param([0, 1], [attribute(1, key="a"), attribute(2, 3, key="b")], id="all deleted, a stray key"),
            pytest.param([1], [attribute(3, key="a"), attribute(2, 3)], id="all deleted before"),
            pytest.param([1], [attribute(1, key="a"), attribute(2, 3, room="s")], id="all of another room"),
            pytest.param([0, 1, 2], [attribute(1, 2, key="a"), attribute(2, 3), attribute(3, 3)], id="removals only"),
            pytest.param([], [attribute(1, key="a"), attribute(1, key="a", optType=1)], id="the same twice"),
        ],
    )
    def test_rooms(self, gone: list[int], events: list[Event]) -> None:
        """A state is gone when a newer one took its place or took it away; a removal never shows itself."""
        assert {of(events[index]) for index in gone} == superseded(events, RONGCLOUD)

    def test_presence(self) -> None:
        """A logout takes the place of an older login, not of a newer one, nor of another account's."""
        old, out, new, other = login(time="1000"), logout(time="2000"), login(time="3000"), login("bob", "1")
        assert {of(old), of(out)} == superseded([new, out, old, other], COMMSEASE)

    def test_inside_a_list(self) -> None:
        """Of several states that one payload reports, each is gone by itself."""

        def groups(*states: tuple[str, int]) -> Event:
            profiles = [{"groupId": group, "groupName": "n", "time": time} for group, time in states]
            return Event("rongcloud.group-info", {"profiles": profiles})

        old, new = groups(("a", 1), ("b", 2)), groups(("a", 2), ("c", 1))
        event_type = RONGCLOUD["rongcloud.group-info"]
        assert {occurrences_of(event_type, old)[0]} == superseded([new, old], RONGCLOUD)

    def test_lists(self) -> None:
        """In a list nothing takes the place of anything."""
        both = [
            message("m1", fromAccount="a", to="b", msgTimestamp="1"),
            message("m2", fromAccount="a", to="b", msgTimestamp="2"),
        ]
        assert set() == superseded(both, COMMSEASE)

    def test_no_rank(self) -> None:
        """A state that does not say when it was has no place in time."""
        assert set() == superseded([login(time=""), login(time="5", deviceId="d2")], COMMSEASE)

    @given(st.permutations([attribute(v, 1 + (v % 3 == 0), key="ab"[v % 2]) for v in range(6)]))
    def test_permuted(self, events: list[Event]) -> None:
        """The order of sending changes nothing."""
        assert superseded(sorted(events, key=str), RONGCLOUD) == superseded(events, RONGCLOUD)


class TestWholePayloads:
    """A record may be a whole payload that reports several things."""

    RECEIPTS = receipts(("1", "186"), ("2", "187"))

    @pytest.mark.parametrize("as_text", [True, False])
    def test_each_counts(self, as_text: bool) -> None:
        """Each of them shows once for each record, whether the list is kept as text or not."""
        payload = dict(self.RECEIPTS.payload)
        if not as_text:
            payload["objects"] = json.loads(payload["objects"])
        effects = seen([self.RECEIPTS], [payload, payload])
        assert {("1", "186"): 2, ("2", "187"): 2} == {one.identity: n for one, n in effects.counts.items()}
        assert 4 == len(effects.order) == len(effects.records)

    def test_without_its_type(self) -> None:
        """The list alone will do, without the field that tells the type."""
        effects = seen([self.RECEIPTS, login()], [{"objects": self.RECEIPTS.payload["objects"]}])
        assert 2 == len(effects.order)

    def test_unreadable(self) -> None:
        """A list that cannot be read is a record that fits nothing."""
        record = {"eventType": "11", "objects": "[{"}
        assert (record,) == seen([self.RECEIPTS], [record]).unmatched


class TestStores:
    """What typed stores and others make of a payload."""

    CALL = Event("commsease.call-duration", {"eventType": "5", "channelId": "7", "createtime": "9"})

    @pytest.mark.parametrize("running", [False, "false", None, "", 0])
    def test_documented_default(self, running: Any) -> None:
        """A documented default equals its absence, in a record and in what is sent."""
        record = {**self.CALL.payload, "running": running}
        assert (of(self.CALL),) == seen([self.CALL], [record]).order
        sent = Event(self.CALL.type, {**self.CALL.payload, "running": False})
        assert of(sent) == of(self.CALL)

    def test_not_the_default(self) -> None:
        """Another value is another event."""
        assert () == seen([self.CALL], [{**self.CALL.payload, "running": True}]).order

    @pytest.mark.parametrize("zero", [0, "0", False])
    def test_zero_of_a_type(self, zero: Any) -> None:
        """Where a field was absent, the zero of a typed struct is as good as nothing."""
        event = login(deviceId=None)
        assert (of(event),) == seen([event], [{**event.payload, "deviceId": zero}]).order

    @pytest.mark.parametrize("record", [None, 7, "text", [], [1], True])
    def test_no_object(self, record: Any) -> None:
        """A record that is no object is kept apart, and blinds nothing."""
        effects = seen([login()], [record, login().payload, record])
        assert (of(login()),) == effects.order
        assert (record, record) == effects.unmatched

    def test_foreign(self) -> None:
        """So is one that fits nothing that was sent."""
        foreign = {"id": 1, "note": "another application"}
        assert (foreign,) == seen([login()], [foreign]).unmatched

    def test_kind_alone(self) -> None:
        """What says no more than the kind of a conversation stands for no message."""
        effects = seen([message("m1")], [{"eventType": "1", "convType": "PERSON"}])
        assert ((), {}) == (effects.order, effects.ambiguous)

    def test_the_rest_decides(self) -> None:
        """Where the identity leaves it open, what else a record says decides, if it fits one alone."""
        events = [attribute(version, key="k", value=f"value {version}") for version in (1, 2, 3)]
        effects = seen(events, [{"chatroomId": "r", "key": "k", "value": "value 2"}])
        assert (of(events[1]),) == effects.order
        assert not effects.ambiguous

    def test_element(self) -> None:
        """What was sent for an occurrence can be had again: its rank is taken from there, not from the record."""
        matcher = Matcher(RONGCLOUD)
        matcher.add([attribute(7, key="k")])
        assert 7 == matcher.element(of(attribute(7, key="k")))["version"]

    def test_of(self) -> None:
        """The records of an occurrence, in the order shown."""
        effects = seen([login()], [{**login().payload, "n": 1}, {**login().payload, "n": 2}])
        assert [1, 2] == [record["n"] for record in effects.of(of(login()))]

    def test_shown_among(self) -> None:
        """Which of some occurrences show, in the order shown."""
        events = [message("m1"), message("m2"), message("m3")]
        effects = seen(events, [events[2].payload, events[0].payload, events[1].payload])
        assert [of(events[2]), of(events[0])] == shown_among(effects, [of(events[0]), of(events[2])])
