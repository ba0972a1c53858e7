"""What came over the network is shown without commands to the terminal, unpacked and shortened."""

from __future__ import annotations

import gzip
import zlib

import pytest
from im_callback.conformance.report.masking import Masking
from im_callback.conformance.report.visible import MOST, body_text, shown, unpacked
from im_callback.provider_mock.visible import visible

NONE = Masking(())


class TestVisible:
    """Tests for `visible` and `shown`."""

    @pytest.mark.parametrize(
        ("expected", "text"),
        [
            ("plain", "plain"),
            ("a\nb\tc", "a\nb\tc"),
            ("你好 🎉 👨‍👩‍👧 é", "你好 🎉 👨‍👩‍👧 é"),
            (r"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m"),
            (r"\x07\x08\r\x00\x7f\x9b", "\x07\x08\r\x00\x7f\x9b"),
            (r"\u202eevil\u2066\u200b\ufeff", "\u202eevil\u2066\u200b\ufeff"),
            (r"\u2028\u2029\x85", "\u2028\u2029\x85"),
            (r"\ud800 \udcff", "\ud800 \udcff"),
            (r"\ufffe\U000e0001", "\ufffe\U000e0001"),
        ],
    )
    def test_table(self, expected: str, text: str) -> None:
        """Control characters, what turns the direction and lone surrogates are escapes."""
        assert expected == visible(text)
        assert expected.encode()

    def test_everything(self) -> None:
        """Whatever is in it, it can be encoded, and holds no command."""
        text = visible("".join(map(chr, range(0x3000))) + "".join(map(chr, range(0xD700, 0xE010))))
        assert text.encode()
        assert {"\n", "\t"} == {c for c in text if c < " "}
        assert not {"\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ud800"} & set(text)

    def test_nested(self) -> None:
        """Every text of a document is masked and visible; numbers and the like stay."""
        mask = Masking.hiding(["pa55word"])
        assert {"a": ["***", 1, None, {"b": r"\x1b"}]} == shown({"a": ("pa55word", 1, None, {"b": "\x1b"})}, mask)


class TestBodies:
    """Tests for `body_text`."""

    TEXT = '{"code":403,"msg":"不对"}'

    @pytest.mark.parametrize(
        ("encoding", "body"),
        [
            ("gzip", gzip.compress(TEXT.encode(), mtime=0)),
            ("GZIP", gzip.compress(TEXT.encode(), mtime=0)),
            ("deflate", zlib.compress(TEXT.encode())),
            ("deflate", zlib.compress(TEXT.encode())[2:-4]),
            ("gzip, gzip", gzip.compress(gzip.compress(TEXT.encode(), mtime=0), mtime=0)),
        ],
    )
    def test_compressed(self, encoding: str, body: bytes) -> None:
        """A compressed body is shown unpacked, and it is said that it was."""
        said = body_text(body, NONE, [("content-encoding", encoding)])
        assert f"({encoding.lower()}, unpacked)\n{self.TEXT}" == said

    @pytest.mark.parametrize(
        ("expected", "encoding", "body"),
        [
            ("(4 bytes, compressed: this is no gzip (", "gzip", b"text"),
            ("(4 bytes, compressed: this is no deflate (", "deflate", b"\xff\xff\xff\xff"),
            ("(4 bytes, compressed: x-odd\\x1b cannot be unpacked here)", "x-odd\x1b", b"text"),
        ],
    )
    def test_not(self, expected: str, encoding: str, body: bytes) -> None:
        """What cannot be unpacked is not shown raw."""
        assert body_text(body, NONE, [("Content-Encoding", encoding)]).startswith(expected)

    def test_brotli(self) -> None:
        """Brotli is unpacked where its library is, and else named."""
        said = body_text(b"\x0b\x02\x80hello\x03", NONE, [("Content-Encoding", "br")])
        assert said == "(br, unpacked)\nhello" or said.startswith("(9 bytes, compressed: br can")

    def test_bomb(self) -> None:
        """What would grow without end is unpacked no further than what can be shown."""
        bomb = gzip.compress(b"0" * 50_000_000)
        assert MOST == len(unpacked(bomb, "gzip"))
        assert len(body_text(bomb, NONE, [("Content-Encoding", "gzip")])) < 1300

    @pytest.mark.parametrize("encoding", ["", "identity"])
    def test_plain(self, encoding: str) -> None:
        """A body that is not compressed is shown as it is."""
        assert self.TEXT == body_text(self.TEXT.encode(), NONE, [("Content-Encoding", encoding)])

    def test_secret(self) -> None:
        """Secrets are masked after unpacking."""
        body = gzip.compress(b"it is pa55word")
        assert "it is ***" in body_text(body, Masking.hiding(["pa55word"]), [("Content-Encoding", "gzip")])

    def test_odd(self) -> None:
        """Bytes that are no UTF-8 and control characters are escapes, and a long body is cut."""
        assert r"a\xff\x1b" == body_text(b"a\xff\x1b", NONE)
        assert body_text(b"x" * 5000, NONE).endswith("… (5000 bytes)")
