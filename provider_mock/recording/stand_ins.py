"""Puts stand-ins in the place of values: the same one for the same value, another for another, of the same look.

A stand-in has the length of its value, digits where that has digits and letters of the same alphabet where it has
letters; what is neither stays. It is a permutation of all values of one look, chosen by a key that nobody keeps: what
was equal stays equal, what was not does not become so, and without the key nothing leads back.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import shake_256
from ipaddress import IPv6Address
from math import isqrt
from urllib.parse import unquote

KEY_BYTES = 32
ROUNDS = 8
PERMUTED = 64
"""Characters up to which different texts surely stay different; longer ones do all but surely."""
REMEMBERED = 1 << 16
"""Texts whose stand-ins are kept at hand: accounts and rooms come again and again."""
LONGEST = 4300
"""Digits of the largest number that is looked at as one."""
BOUNDS = (2**31 - 1, 2**32 - 1, 2**53 - 1, 2**63 - 1, 2**64 - 1)
"""Limits of the types in which receivers keep numbers: a stand-in is on the same side of each."""
SHORT = 10**9
"""Numbers below it are short, and up to `WIDE` of one look are few."""
WIDE = 2**40
HEX = "0123456789abcdef"

_DECIMAL = re.compile(r"-?[1-9][0-9]*")
_HEX = re.compile(r"(?=[0-9-]*[a-f])[0-9a-f][0-9a-f-]{14,}|(?=[0-9-]*[A-F])[0-9A-F][0-9A-F-]{14,}")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?:\.(?!$)|$)){4}")
_PORT = re.compile(r"(.+):([0-9]{1,5})")
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{1,15}://)([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_MAIL = re.compile(r"([^@\s]+)@((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_MARK = re.compile(r"@[A-Z]{2,8}#(?=.)")


class StandIns:
    """The stand-ins that belong to a key of `KEY_BYTES` bytes. Everything here is pure.

    With `longer`, a short value gets a longer one, which no other key makes too: `u1` could become `u2` otherwise.
    """

    def __init__(self, key: bytes, *, longer: bool = False) -> None:
        self._key = key
        self._ending = f"-{self._bytes('ending', '', 4).hex()}" if longer else ""
        self._texts: dict[str, str] = {}

    def text(self, value: str) -> str:
        """Return the stand-in of a text; an empty one, and `0`, which stands for nobody, stay.

        Addresses become those of networks and domains that lead nowhere.
        """
        known = self._texts.get(value)
        if known is None:
            if len(self._texts) >= REMEMBERED:
                self._texts.clear()
            known = self._texts[value] = self._text(value)
        return known

    def _text(self, value: str) -> str:
        if len(value) <= LONGEST and _DECIMAL.fullmatch(value):
            return str(self.number(int(value)))
        if _IPV4.fullmatch(value):
            return "10." + ".".join(str(byte) for byte in self._bytes("ip", value, 3))
        if ":" in value:
            if (ported := _PORT.fullmatch(value)) and _IPV4.fullmatch(ported[1]):
                return f"{self.text(ported[1])}:{ported[2]}"
            if _is_ipv6(value):
                return str(IPv6Address(b"\x20\x01\x0d\xb8" + self._bytes("ip", value, 12)))
            if url := _URL.fullmatch(value):
                return self._url(*url.groups())
        if mail := _MAIL.fullmatch(value):
            return f"{self.text(mail[1])}@{self._bytes('host', mail[2].lower(), 4).hex()}.example.com"
        if mark := _MARK.match(value):
            return mark[0] + self._alike(value[mark.end() :])
        return self._alike(value)

    def number(self, value: int) -> int:
        """Return the stand-in of a whole number: of as many digits; 0 stays. It is that of its text, too."""
        if value < 0:
            return -self.number(-value)
        if value == 0 or value >= 10**LONGEST:
            return 0
        if self._ending and value < SHORT:
            return SHORT + self._permuted(value, BOUNDS[0] - SHORT, "short number")
        digits = len(str(value))
        least, most = int(10 ** (digits - 1)), 10**digits - 1
        for bound in BOUNDS:
            if least <= bound < most:
                least, most = (least, bound) if value <= bound else (bound + 1, most)
        return least + self._permuted(value - least, most - least + 1, f"number {least}")

    def fraction(self, value: float) -> float:
        """Return the stand-in of a number that is not whole: with other digits."""
        mantissa, sign, exponent = repr(value).partition("e")
        return float(re.sub("[0-9]+", lambda found: self._alike(found[0]), mantissa) + sign + exponent)

    def within(self, value: float, limit: float) -> float:
        """Return the stand-in of a coordinate, from -limit to limit, with as many decimals."""
        text = repr(float(value))
        decimals = len(text.partition(".")[2]) if "e" not in text else 6
        share = int.from_bytes(self._bytes("place", text, 7), "big") / 2**56
        return round((2 * share - 1) * limit, decimals)

    def file_name(self, value: str) -> str:
        """Return the stand-in of a file's name: the ending stays."""
        ending = _ENDING.search(value)
        return self.text(value[: ending.start()]) + ending[0] if ending else self.text(value)

    def path(self, value: str) -> str:
        """Return the stand-in of a path, part by part: percent-encoded characters become letters."""
        parts = [unquote(part) if "%" in part else part for part in value.split("/")]
        return "/".join(_encodable(self.file_name(part)) for part in parts)

    def content(self, value: bytes) -> bytes:
        """Return as many other bytes."""
        return self._bytes("content", value.hex(), len(value))

    def _url(self, scheme: str, place: str, path: str, rest: str) -> str:
        host = self._bytes("host", place.lower(), 4).hex()
        query = re.sub(r"[^?&=#]+", lambda found: _encodable(self._alike(unquote(found[0]))), rest)
        return f"{scheme}{host}.example.com{self.path(path)}{query}"

    def _alike(self, value: str) -> str:
        """Return a text of the same look."""
        if value in ("", "0"):
            return value
        if _HEX.fullmatch(value):
            hexadecimal = HEX if value.lower() == value else HEX.upper()
            alphabets = [hexadecimal if one in hexadecimal else one for one in value]
        else:
            alphabets = [_alphabet(one) for one in value]
        if len(value) > PERMUTED:
            stream = self._bytes("text", value, 4 * len(value))
            places = [int.from_bytes(stream[at : at + 4], "big") for at in range(0, len(stream), 4)]
            return "".join(one[place % len(one)] for one, place in zip(alphabets, places, strict=True))
        number, size = 0, 1
        for letter, one in zip(value, alphabets, strict=True):
            number, size = number * len(one) + one.index(letter), size * len(one)
        number = self._permuted(number, size, "text " + "".join(one[0] for one in alphabets))
        letters = []
        for one in reversed(alphabets):
            number, place = divmod(number, len(one))
            letters.append(one[place])
        return "".join(reversed(letters)) + (self._ending if size < WIDE else "")

    def _permuted(self, number: int, size: int, look: str) -> int:
        """Return where a permutation of the numbers below `size` leads: a Feistel network, walked until it is below."""
        half = isqrt(size - 1) + 1
        if half == 1:
            return number
        width = half.bit_length() // 8 + 8
        while True:
            left, right = divmod(number, half)
            for turn in range(ROUNDS):
                mixed = int.from_bytes(self._bytes(f"{turn} {size} {look}", f"{right:x}", width), "big")
                left, right = right, (left + mixed) % half
            number = left * half + right
            if number < size:
                return number

    def _bytes(self, purpose: str, value: str, count: int) -> bytes:
        told = f"{len(purpose)} {purpose} {value}".encode("utf-8", "surrogatepass")
        return shake_256(self._key + told).digest(count)


@lru_cache(maxsize=4096)
def _alphabet(letter: str) -> str:
    """Return the letters of which one stands for this one; itself alone where it is no letter, digit or sign."""
    for alphabet in ("0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"):
        if letter in alphabet:
            return alphabet
    code = ord(letter)
    if code < 0x80:
        return letter
    if 0x4E00 <= code <= 0x9FFF:
        return _page("L", 0x4E00, 0x9FFF)
    if 0xAC00 <= code <= 0xD7A3:
        return _page("L", 0xAC00, 0xD7A3)
    sort = unicodedata.category(letter)[0]
    return _page(sort, code & ~0xFF, code | 0xFF) if sort in "LNSM" else letter


@lru_cache(maxsize=256)
def _page(sort: str, first: int, last: int) -> str:
    # From 0x80 on, so that as many bytes of UTF-8 come out, but for the few pages that two lengths share.
    return "".join(
        chr(code) for code in range(max(first, 0x80), last + 1) if unicodedata.category(chr(code))[0] == sort
    )


def _encodable(text: str) -> str:
    """Return a text that can stand in an address: what cannot is a letter."""
    return re.sub(r"[^A-Za-z0-9._~!$&'()*+,;=:@-]", "x", text)


def _is_ipv6(value: str) -> bool:
    try:
        IPv6Address(value)
    except ValueError:
        return False
    return True
