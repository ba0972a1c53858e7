"""Stand-ins: the same for the same value, another for another, of the same look, and no way back without the key."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from itertools import product
from string import ascii_lowercase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from im_callback.provider_mock.recording.stand_ins import BOUNDS, StandIns

ONE, OTHER = StandIns(b"1" * 32), StandIns(b"2" * 32)


def look(text: str) -> str:
    """Return what kind of character stands where."""
    return re.sub(r"[0-9]", "9", re.sub(r"[a-z]", "a", re.sub(r"[A-Z]", "A", text)))


class TestText:
    """Texts."""

    @settings(derandomize=True, deadline=None)
    @given(st.text(st.characters(codec="utf-8"), max_size=80))
    def test_length(self, text: str) -> None:
        """It is as long in characters, and the same each time; a text that means an address has its own form."""
        found = ONE.text(text)
        assert found == StandIns(b"1" * 32).text(text)
        if not set(text) & set(":@.-"):
            assert len(text) == len(found)

    @settings(derandomize=True, deadline=None)
    @given(st.text("abcXYZ019_ -", min_size=1, max_size=14))
    def test_look(self, text: str) -> None:
        """Letters, digits and everything else stand where they stood."""
        if text != "0":
            assert look(text) == look(ONE.text(text))

    def test_permutation(self) -> None:
        """No two texts of one look have the same stand-in, however few there are."""
        every = ["".join(letters) for letters in product(ascii_lowercase, repeat=2)]
        assert sorted(every) == sorted(map(ONE.text, every))
        assert {f"user-{n:02}" for n in range(100)} != {ONE.text(f"user-{n:02}") for n in range(100)}
        assert 500 == len({ONE.text(f"号{n}x") for n in range(500)})

    def test_key(self) -> None:
        """Another key gives others."""
        assert ONE.text("zhangsan-2026") != OTHER.text("zhangsan-2026")

    @pytest.mark.parametrize(("expected", "text"), [("", ""), ("0", "0"), ("-- / !", "-- / !")])
    def test_stays(self, expected: str, text: str) -> None:
        """What stands for nobody, and what holds no letter."""
        assert expected == ONE.text(text)

    @pytest.mark.parametrize("text", ["张三李四王五赵六", "안녕하세요 여러분", "привет, мир", "😀😃😄😁", "ünïcödé-ßß"])
    def test_alphabets(self, text: str) -> None:
        """Other alphabets are replaced by letters of their own, in as many bytes."""
        found = ONE.text(text)
        assert found != text
        assert len(text.encode()) == len(found.encode())

    def test_long(self) -> None:
        """A long text is replaced as well, and one that differs at its end differs all over."""
        one, other = ONE.text("secret words " * 99), ONE.text("secret words " * 98 + "secret swords")
        assert look("secret words " * 99) == look(one)
        assert one[:50] != other[:50]


class TestForms:
    """Texts of a known form keep it."""

    def test_addresses(self) -> None:
        """Network addresses lead nowhere, and a port stays."""
        assert ip_address(ONE.text("8.8.4.4")) in ip_network("10.0.0.0/8")
        assert ONE.text("8.8.4.4") + ":443" == ONE.text("8.8.4.4:443")
        assert ip_address(ONE.text("2a00:1450:4001::200e")) in ip_network("2001:db8::/32")
        # A version is none.
        assert "." in ONE.text("1.2.3")

    def test_url(self) -> None:
        """Scheme, form and ending of an address stay; its host is of a domain that leads nowhere."""
        found = ONE.text("https://nim.example.cn/team/photo%20of%20ann.jpg?token=abc&x=1")
        assert re.fullmatch(
            r"https://[0-9a-f]{8}\.example\.com/[a-z]{4}/[a-zx]{12}\.jpg\?[a-z]{5}=[a-z]{3}&[a-z]=[0-9]", found
        )

    def test_mail(self) -> None:
        """So does that of a mail address."""
        assert re.fullmatch(r"[a-z]{3}@[0-9a-f]{8}\.example\.com", ONE.text("ann@corp.cn"))

    def test_hexadecimal(self) -> None:
        """A UUID and a digest stay hexadecimal."""
        found = ONE.text("7f1a355e-526e-4523-b3df-44a47467537a")
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", found)
        assert re.fullmatch(r"[0-9A-F]{32}", ONE.text("D9C79459AFA75AE86B3034D790DB3CDD"))

    def test_marked(self) -> None:
        """A mark in front of an id stays."""
        assert ONE.text("@TGS#2J4SZEAEL").startswith("@TGS#")

    def test_file(self) -> None:
        """The ending of a file's name stays, and nothing else."""
        assert re.fullmatch(
            r"[a-z]{6}-[0-9]{4}\.tar\.gz|[a-z]{6}-[0-9]{4}\.[a-z]{3}\.gz", ONE.file_name("photos-2026.tar.gz")
        )


class TestNumbers:
    """Numbers."""

    @settings(derandomize=True, deadline=None)
    @given(st.integers(-(10**30), 10**30))
    def test_text_alike(self, number: int) -> None:
        """A number and its text have the same stand-in."""
        assert str(ONE.number(number)) == ONE.text(str(number))

    @settings(derandomize=True, deadline=None)
    @given(st.integers(1, 2**70))
    def test_digits(self, number: int) -> None:
        """It has as many digits, and is on the same side of what integers of some width hold."""
        found = ONE.number(number)
        assert len(str(number)) == len(str(found))
        assert [number <= bound for bound in BOUNDS] == [found <= bound for bound in BOUNDS]

    def test_permutation(self) -> None:
        """No two have the same one."""
        assert set(range(1, 1000)) == {ONE.number(n) for n in range(1, 1000)}

    def test_fractions(self) -> None:
        """Others have other digits; a coordinate stays one."""
        assert isinstance(ONE.fraction(-12.75), float)
        assert -99.99 <= ONE.fraction(-12.75) < 0
        assert abs(ONE.within(39.9042, 90)) <= 90
        assert len("9042") >= len(str(ONE.within(39.9042, 90)).partition(".")[2])


class TestLonger:
    """Short values become longer ones where no other key may make the same."""

    def test_short(self) -> None:
        """An account of two letters, a room of one digit."""
        one, other = StandIns(b"1" * 32, longer=True), StandIns(b"2" * 32, longer=True)
        assert not {one.text(f"u{n}") for n in range(10)} & {other.text(f"u{n}") for n in range(10)}
        assert not {one.number(n) for n in range(1, 100)} & {other.number(n) for n in range(1, 100)}
        assert all(10**9 <= one.number(n) < 2**31 for n in range(1, 100))
        assert 100 == len({one.number(n) for n in range(100)})
