"""Reading request bodies as people have them: one, several, or copied from a vendor's page."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock.commands.shared.documents import Unreadable, read_documents
from im_callback.schemas import jsontext

from tests.provider_mock.strategies import json_values, repeatable

NOTE = "note: // comments are not JSON; they were left out"
BOM = b"\xef\xbb\xbf"


class TestReadDocuments:
    """Tests for `read_documents`."""

    @pytest.mark.parametrize(
        ("expected", "data"),
        [
            ([{}], b"{}"),
            ([{"a": 1}], b'\n{\n  "a": 1\n}\n'),
            ([[{"a": 1}, {"b": 2}]], b'[{"a":1},\n{"b":2}]'),
            ([{"a": 1}, {"b": 2}], b'{"a":1}\n{"b":2}\n'),
            ([{"a": 1}, {"b": 2}], b'{"a":1}\r\n\r\n{"b":2}'),
            ([{"a": "// no comment"}], b'{"a":"// no comment"}'),
            ([{"a": "http://x"}, {"b": 'say "//"'}], b'{"a":"http://x"}\n{"b":"say \\"//\\""}'),
            ([{"a": 1}], BOM + b'{"a":1}'),
            ([{"a": 1}, {"b": 2}], BOM + b'{"a":1}\n{"b":2}'),
            ([{"a": "x\u2028y"}, {"b": "x\x85y"}], '{"a":"x\u2028y"}\n{"b":"x\x85y"}'.encode()),
        ],
    )
    def test_json(self, expected: list[Any], data: bytes) -> None:
        """One JSON text, or one a line."""
        assert (expected, []) == read_documents(data)

    @pytest.mark.parametrize(
        ("expected", "data"),
        [
            ([{"a": 1}], b'{"a":1} // a message'),
            ([{"a": "b//c"}], b'{ // it\'s "quoted"\n"a": "b//c" // said\n}'),
            ([{"a": 1}, {"b": 2}], b'{"a":1} // one\n// two\n{"b":2}\n'),
            ([{"a": 1}], BOM + b'{"a":1} // a message'),
        ],
    )
    def test_comments(self, expected: list[Any], data: bytes) -> None:
        """Comments, as vendors print them, are left out, and a note says so."""
        assert (expected, [NOTE]) == read_documents(data)

    @repeatable
    @given(values=st.lists(json_values, min_size=1, max_size=4))
    def test_round_trip(self, values: list[Any]) -> None:
        """Any JSON values, one a line."""
        data = "\n".join(jsontext.dump(value) for value in values).encode()
        assert (values, []) == read_documents(data)

    @pytest.mark.parametrize(
        ("problem", "data"),
        [
            ("it is empty", b""),
            ("it is empty", b"  \n"),
            ("Expecting value", b"// only a comment"),
            ("Expecting value", b"eventType=2&accid=t3"),
            ("Expecting property name", b"{'a':1}"),
            ("NaN is not JSON", b'{"a":NaN}'),
            ("can't decode byte 0xff", b'{"a":"\xff"}'),
            ("nested too deeply", b"[" * 200_000),
            ("Expecting value", b'{"a":1}\nnonsense'),
        ],
        ids=["empty", "blank", "comment", "form", "quotes", "nan", "latin", "deep", "second-line"],
    )
    def test_unreadable(self, problem: str, data: bytes) -> None:
        """What is no JSON is an error that says where, and what to give."""
        with pytest.raises(Unreadable) as raised:
            read_documents(data)
        assert str(raised.value).startswith("this is no JSON: ")
        assert str(raised.value).endswith("; give a request body as it was received")
        assert problem in str(raised.value)
