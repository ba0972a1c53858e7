"""Pointers reach into embedded JSON, and change it without touching the rest."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.schemas import MISSING, PointerError, replace, resolve
from im_callback.schemas.pointer import join, split

from tests.schemas.strategies import documents, names, places, unfolded, values

# The document of RFC 6901, section 5.
RFC = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}
CALL = {
    "callback": '{"members":"[\\"18605811234\\",\\"18158125678\\"]","session":"4ea1e712","name":"\\u738b\\/a"}',
    "eventType": "10",
}


class TestResolve:
    """Tests for `resolve`."""

    @pytest.mark.parametrize(
        ("expected", "pointer"),
        [
            (RFC, ""),
            (["bar", "baz"], "/foo"),
            ("bar", "/foo/0"),
            (0, "/"),
            (1, "/a~1b"),
            (2, "/c%d"),
            (3, "/e^f"),
            (4, "/g|h"),
            (5, "/i\\j"),
            (6, '/k"l'),
            (7, "/ "),
            (8, "/m~0n"),
        ],
    )
    def test_rfc(self, expected: Any, pointer: str) -> None:
        """The examples of RFC 6901, section 5."""
        assert expected == resolve(RFC, pointer)

    def test_tilde_then_one(self) -> None:
        """`~01` is the name `~1`, not `/`."""
        assert "found" == resolve({"~1": "found", "/": "wrong"}, "/~01")

    def test_embedded(self) -> None:
        """Strings on the way are entered as JSON, at every depth."""
        assert "4ea1e712" == resolve(CALL, "/callback/session")
        assert "18158125678" == resolve(CALL, "/callback/members/1")

    def test_last_string_stays(self) -> None:
        """The value itself is not decoded."""
        assert '["18605811234","18158125678"]' == resolve(CALL, "/callback/members")

    @pytest.mark.parametrize(
        "pointer",
        ["/no", "/foo/2", "/foo/-1", "/foo/01", "/foo/-", "/foo/bar", "/foo/0/x", "/a~1b/x", "/foo/٣"],
    )
    def test_absent(self, pointer: str) -> None:
        """What is not there is MISSING, or the default given."""
        assert MISSING is resolve(RFC, pointer)
        assert "default" == resolve(RFC, pointer, "default")

    def test_null_is_not_absent(self) -> None:
        """A null that was sent is a value."""
        assert None is resolve({"a": None}, "/a")

    @pytest.mark.parametrize("text", ["", "{", "NaN", '{"a":NaN}', "1e999", "[" * 100_000])
    def test_not_json(self, text: str) -> None:
        """There is nothing inside text that is not JSON."""
        assert MISSING is resolve({"callback": text}, "/callback/a")

    @pytest.mark.parametrize(("pointer", "hint"), [("a", "write '/a'"), ("/a~", "'~0'"), ("/~2", "'~0'")])
    def test_malformed(self, pointer: str, hint: str) -> None:
        """A malformed pointer is an error that says how to write it."""
        with pytest.raises(PointerError, match=hint) as caught:
            resolve({}, pointer)
        assert pointer == caught.value.pointer

    def test_missing_is_false(self) -> None:
        """MISSING is falsy and says its name."""
        assert not MISSING
        assert "MISSING" == repr(MISSING)


class TestReplace:
    """Tests for `replace`."""

    def test_embedded(self) -> None:
        """Embedded JSON is written back compact, with non-ASCII characters as they are; the rest stays."""
        changed = replace(CALL, "/callback/members/0", "李")
        assert '{"members":"[\\"李\\",\\"18158125678\\"]","session":"4ea1e712","name":"王/a"}' == changed["callback"]
        assert "10" == changed["eventType"]

    def test_original_stays(self) -> None:
        """The payload itself is not changed."""
        before = copy.deepcopy(CALL)
        replace(CALL, "/callback/session", "new")
        assert before == CALL

    def test_adds_member(self) -> None:
        """A member that is not there yet is added at the end."""
        assert ["a", "b"] == list(replace({"a": 1}, "/b", 2))

    def test_whole(self) -> None:
        """The empty pointer replaces everything."""
        assert 1 == replace({"a": 1}, "", 1)

    @pytest.mark.parametrize(
        ("pointer", "fact"),
        [
            ("/no/a", "there is no /no"),
            ("/eventType/a", "/eventType holds neither"),
            ("/callback/members/2", "there is no /callback/members/2"),
            ("/callback/session/a", "/callback/session holds neither"),
        ],
    )
    def test_no_parent(self, pointer: str, fact: str) -> None:
        """A parent that is missing, or has no members, is an error that says so."""
        with pytest.raises(PointerError, match=fact):
            replace(CALL, pointer, 1)

    @settings(max_examples=60)
    @given(documents, st.data())
    def test_reads_back(self, document: Any, data: st.DataObject) -> None:
        """What was put somewhere is found there, and everything beside it is as before."""
        place = data.draw(st.sampled_from(places(document)))
        value = data.draw(values)
        changed = replace(document, place, value)
        assert json.dumps(value) == json.dumps(resolve(changed, place))
        restored = replace(changed, place, resolve(document, place))
        assert unfolded(document) == unfolded(restored)

    @settings(max_examples=60)
    @given(documents, st.data())
    def test_same_value(self, document: Any, data: st.DataObject) -> None:
        """Putting back what is there changes nothing."""
        place = data.draw(st.sampled_from(places(document)))
        assert unfolded(document) == unfolded(replace(document, place, resolve(document, place)))


class TestSplit:
    """Tests for `split` and `join`."""

    @given(st.lists(names))
    def test_round_trip(self, tokens: list[str]) -> None:
        """Splitting undoes joining, whatever the names hold."""
        assert tokens == split(join(tokens))
