"""Which name somebody meant who typed another one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some
from im_callback.schemas.nearest import MOST_MEANT, choice, nearest, question

TYPES = ["shop.login", "shop.logout", "shop.message-recall", "chat.message-recall", "chat.key_changed"]


class TestNearest:
    """The likely names, the likeliest first."""

    @pytest.mark.parametrize(
        ("word", "meant"),
        [
            ("login", ["shop.login"]),
            ("logn", ["shop.login"]),
            ("shop.logn", ["shop.login"]),
            ("sohp.login", ["shop.login"]),
            ("SHOP.LOGIN", ["shop.login"]),
            ("message_recall", ["shop.message-recall", "chat.message-recall"]),
            ("chat.message recall", ["chat.message-recall"]),
            ("key-changed", ["chat.key_changed"]),
            ("message", ["shop.message-recall", "chat.message-recall"]),
            ("--shop.login", ["shop.login"]),
            ("shop.payment", []),
            ("", []),
            ("x" * 10_000, []),
        ],
    )
    def test_types(self, word: str, meant: list[str]) -> None:
        """Parts after a dot, case, separators and slips of the pen."""
        assert meant == nearest(word, TYPES)

    def test_beginnings(self) -> None:
        """Three letters that names begin with are enough; the three likeliest are told."""
        names = ["duplicate", "duplicate-later", "duplicate-concurrently", "duplicate-twice", "delay"]
        assert names[:3] == nearest("dup", names)
        assert [] == nearest("du", names)

    def test_pointers(self) -> None:
        """Pointers are compared member by member."""
        assert ["/accid"] == nearest("/acid", ["/accid", "/body/accid/name"])
        assert ["/body/text"] == nearest("/body/txt", ["/body/text", "/text"])

    @given(some.text(max_size=30), some.lists(some.text(max_size=12), max_size=8))
    def test_any(self, word: str, names: list[str]) -> None:
        """Whatever is typed: some of the names, each once, and a name that is there before all others."""
        found = nearest(word, names)
        assert len(found) == len(set(found)) <= MOST_MEANT
        assert set(found) <= set(names)
        assert found == nearest(word, names)
        if word in names and word.strip("/-._ "):
            assert word in nearest(word, [word])


class TestChoice:
    """How an error ends."""

    def test_question(self) -> None:
        """The likely names in a question; nothing if there are none."""
        assert "did you mean 'shop.login'?" == question("login", TYPES)
        assert "did you mean 'ab1', 'ab2' or 'ab3'?" == question("ab0", ["ab1", "ab2", "ab3"])
        assert "" == question("zzz", TYPES)

    def test_few(self) -> None:
        """Few names are all told."""
        assert "did you mean 'first'? there are all, first, repeats" == choice("frst", ["all", "first", "repeats"])
        assert "choose one of: all, first" == choice("zzz", ["all", "first"])
        assert "there are none" == choice("zzz", [])

    def test_many(self) -> None:
        """Of many it is told who lists them."""
        names = [f"name-{number}{'x' * number}" for number in range(20)]
        assert "did you mean 'name-0'? it lists them" == choice("name-0", names, "it lists them")
        assert "it lists them" == choice("zzz", names, "it lists them")
