"""What a receiver's own words say: what declines, what does not, and how it is quoted."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock import providers
from im_callback.provider_mock.answer import QUOTED, UNPACKED, declines, quoted, readable

from tests.cases import in_each

OBJECTS_FINE: list[dict[str, Any]] = [
    {},
    # Codes that are a yes everywhere.
    *(
        {"code": code}
        for code in (0, "0", 0.0, 200, "200", " 200 ", 201, 202, 204, 299, 20000, "20000", "00000", "000")
    ),
    *(
        {"errcode": code}
        for code in (0, "0", 200, "200", 20000, "00000", None, "", "ok", "SUCCESS", "NoError", "NO_ERROR")
    ),
    *({"ret": code} for code in (0, "0", 200, "success", True, None)),
    *({"status": code} for code in (0, 200, "200", "ok", "OK", "success", "SUCCESS", "Success!", True, "", None)),
    # Words that are a yes, or say nothing that could be a no.
    *({"code": word} for word in ("OK", "Ok", "success", "SUCCESS", "SUCC", True, False, None, "")),
    *(
        {"status": word}
        for word in ("received", "accepted", "queued", "ignored", "duplicate", "done", "UP", "alive", "正常")
    ),
    *({"result": word} for word in ("ok", "success", True, 0, 1, 3, 404, "stored", "成功", {}, [], {"id": 1}, None)),
    *({"success": value} for value in (True, "true", 1, "1", "yes", None, "", 0, "0")),
    *({"ok": value} for value in (True, "true", 1, None)),
    # Codes that mean something only to their owner.
    *({"code": code} for code in (1, "1", 2, 100, 300, 301, 399, 600, 1000, 10000, 39999, 60000, 100000, 2**80, "E00")),
    *({"status": code} for code in (1, "1", 100, 304)),
    *({"ret": code} for code in (1, 100)),
    # ... and whose message does not speak of an error.
    {"code": 1, "msg": "success"},
    {"code": 1, "msg": "ok"},
    {"code": 1, "message": "操作成功"},
    {"code": 1, "msg": "received"},
    {"code": 1, "msg": "duplicate message, ignored"},
    {"code": 1, "msg": "already processed: invalid to do it twice"},
    {"code": 1, "msg": "重复消息，已忽略"},
    {"code": 1, "msg": ""},
    {"code": 1, "msg": None},
    {"code": 1, "msg": 5},
    {"code": 1, "msg": {"error": "nested"}},
    {"code": 1, "msg": "no error"},
    {"code": 1, "msg": "No errors found"},
    {"code": 1, "msg": "without any error"},
    {"code": 1, "msg": "0 failures"},
    {"code": 1, "msg": "errors: 0, failed: 0"},
    {"code": 1, "msg": "error: none"},
    {"code": 1, "msg": "error = null"},
    {"code": 1, "msg": "没有错误"},
    {"code": 1, "msg": "无异常"},
    {"code": 1, "msg": "错误数：0"},
    {"code": 1, "msg": "success, the error counter was reset"},
    # A yes in numbers or words is not taken back by a message, nor a clear no kept up beside a success.
    {"code": 0, "msg": "no error"},
    {"code": 0, "msg": "error"},
    {"code": 200, "message": "failed to find a previous one, created"},
    {"errcode": 0, "errmsg": "ok"},
    {"code": 500, "msg": "success"},
    {"code": -1, "success": True},
    {"success": True, "error": "bad signature"},
    {"ok": True, "result": "fail"},
    # Errors that are none.
    *(
        {"error": value}
        for value in (None, False, 0, "0", "", [], {}, "none", "None", "null", "no error", "ok", "n/a", "-")
    ),
    *({"errors": value} for value in (None, False, 0, 3, "", [], {}, [None], [""], "none", "0 errors")),
    {"error": {"code": 0, "message": ""}},
    {"error": {"code": 0, "message": "ok"}},
    {"error": {"code": "", "message": None}},
    {"exception": None},
    # What is nested belongs to somebody else.
    {"data": {"code": 500, "error": "x", "success": False}},
    {"meta": {"code": 500}},
    {"status": {"code": 500}},
    {"received": {"status": "error"}},
    {"code": [500]},
    # Names that only look alike.
    {"barcode": 500},
    {"zipcode": 404},
    {"decode": -1},
    {"errorsFixed": "all"},
    {"id": -1},
    {"data": "invalid"},
    {"type": "error"},
    {"text": "fail"},
    # Most of whose fields are none of an answer's.
    {"code": 500, "a": 1, "b": 2, "c": 3},
    {"code": 500, "msg": "error", "data": None, "a": 1, "b": 2, "c": 3, "d": 4},
    # Longer than a word is, or than a message is read.
    {"code": "error" + " " * 195 + "x"},
    {"code": 1, "msg": "x " * 400 + "error"},
    # A message beside something else: a record.
    {"message": "invalid signature", "user": "ann"},
    {"msg": "error", "from": "ann", "to": "bob"},
]

OBJECTS_DECLINING: list[dict[str, Any]] = [
    *({"code": code} for code in (400, 401, 403, 404, 414, 429, 499, 500, 501, 502, 599, "500", "414", 500.0)),
    *({"code": code} for code in (-1, "-1", -1000, 40001, "40001", 40100, 50000, 59999)),
    *({"status": code} for code in (400, 401, 500, "500", -1, False)),
    *({"ret": code} for code in (-1, "-1", 400, 500, False, "fail")),
    *({"retcode": code} for code in (-1, 401)),
    *({"errcode": code} for code in (1, "1", -1, 400, 40001, 10001, 300)),
    *({"ErrorCode": code} for code in (1, 2, "1", 60001)),
    *({"error_code": code} for code in (1, 17, "110", "SIGN_ERROR")),
    *({"errno": code} for code in (1, 22)),
    *({"err": value} for value in (1, True, "bad signature")),
    *({"statusCode": code} for code in (400, 500)),
    *({"resultCode": code} for code in (-1, 500, "FAIL")),
    *({"return_code": code} for code in ("FAIL", -1)),
    *({"success": value} for value in (False, "false", "FALSE", "fail", "failed")),
    *({"ok": value} for value in (False, "false")),
    {"isSuccess": False},
    {"is_success": False},
    *(
        {"status": word}
        for word in ("error", "ERROR", "fail", "failed", "FAILURE", "rejected", "denied", "unauthorized")
    ),
    *({"status": word} for word in ("SIGN_ERROR", "SignatureInvalid", "invalid-signature", "失败", "not ok")),
    *({"result": word} for word in ("fail", "FAIL", "failure", "error", False, -1, "失败", "unsuccessful")),
    *(
        {"code": word}
        for word in ("FAIL", "ERROR", "SIGN_ERROR", "InvalidSignature", "INVALID_PARAM", "A0340", "B0001")
    ),
    {"ActionStatus": "FAIL"},
    {"ActionStatus": "FAIL", "ErrorCode": 0, "ErrorInfo": ""},
    {"ActionStatus": "FAIL", "ErrorCode": 1, "ErrorInfo": "invalid callback sign"},
    {"ActionStatus": "OK", "ErrorCode": 1, "success": False, "status": "fail", "ok": False} | {"ActionStatus": None},
    *({"error": value} for value in ("bad signature", "Unauthorized", "x", True, 1, -1, ["x"], {"message": "x"})),
    *({"error": {"code": code, "message": "m"}} for code in (-32600, 1, 500)),
    {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "Invalid Request"}},
    {"error": "no signature"},
    {"error": "none of the keys fits"},
    {"errors": ["x"]},
    {"errors": [{"message": "x"}], "data": None},
    {"exception": "java.lang.NullPointerException"},
    {"timestamp": 1, "status": 500, "error": "Internal Server Error", "path": "/cb"},
    {"timestamp": 1, "status": 999, "error": "None", "message": "Invalid sign", "path": "/cb"},
    # Words outweigh the code that a framework fills in.
    {"code": 200, "success": False},
    {"code": 200, "success": False, "msg": "签名错误", "data": None},
    {"code": 0, "result": "fail"},
    {"code": 200, "error": "bad signature"},
    # Unclear codes with messages that speak of an error.
    *(
        {"code": 1, "msg": message}
        for message in (
            "invalid sign",
            "Invalid Signature",
            "sign error",
            "signature mismatch",
            "signatures do not match",
            "checksum doesn't match",
            "CheckSum isn’t valid",
            "bad request",
            "bad checksum",
            "illegal request",
            "unauthorized",
            "Forbidden!",
            "access denied",
            "missing header CurTime",
            "request expired",
            "verification failed",
            "failed to verify",
            "signCheckFailed",
            "SIGN_CHECK_ERROR",
            "wrong secret",
            "could not verify",
            "cannot parse body",
            "error code 5",
            "error: 0x80004005",
            "not authorised",
            "received an invalid signature",
            "no valid token: error 10 errors",
            "签名错误",
            "签名验证失败",
            "校验失败！",
            "无效的签名",
            "非法请求",
            "拒绝访问",
            "参数不合法",
            "签名不匹配",
            "签名不正确",
            "时间戳已过期",
            "系统异常",
            "缺少参数 nonce",
            "参数有误",
            "appKey不能为空",
            "未授权",
            "禁止访问",
            "操作未成功",
            "簽名錯誤",
            "驗證失敗",
            "署名が不正です",
        )
    ),
    *({"code": code, "message": "签名错误"} for code in (2, 100, 999, 1001, 10003, "E01", None, False, "")),
    {"status": 1, "info": "invalid sign"},
    {"status": "1", "reason": "invalid sign"},
    {"ret": 1, "errmsg": "invalid sign"},
    {"success": 0, "msg": "invalid sign"},
    {"result": 1, "description": "invalid sign"},
    {"msg": "invalid sign"},
    {"message": "Unauthorized", "requestId": "1", "data": None},
    {"code": 500, "msg": "ignored"},
    {"code": 500, "data": None, "traceId": "t", "cost": 3, "version": "1"},
    {"code": 500, "msg": "m", "data": None, "a": 1, "b": 2, "c": 3},
    {"code": 40000},
    {"code": 400},
    {"code": "error" + " " * 194 + "x"},
    {"code": 1, "msg": "x " * 390 + "error"},
    {"code": 500, "server": "a", "build": "b"},
]

TEXTS_FINE = [
    "", " ", "\n", "ok", "OK", "Ok.", "success", "SUCCESS", "received", "accepted", "done", "true", "false", "1", "0", "200",
    "500", "-1", "null", "[]", "{}", '"ok"', '"success"', "[500]", '[{"code":500}]', '["error"]', "成功", "收到", "pong",
    "Thank you", "hello", "no error", "0 errors", "success: no errors", "没有错误", "duplicate, rejected", "already stored",
    # Pages, markup, and what looks like a form or a literal of a language.
    "<html><body>Error</body></html>", "<!DOCTYPE html><title>500 Internal Server Error</title>", "<xml><code>500</code></xml>",
    "<br />\n<b>Warning</b>: Undefined variable", "code=1&msg=fail", "status=error", "{'code': 500}", "{code:500}", '{"code":500',
    '{"code":500}{"code":500}', "array(1) { [0]=> error }", "(error)", "- error", "# error", "error " * 60,
    "NaN", "Infinity", "[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"code":' + "9" * 5000 + "}", '{"code":NaN}', '{"code":Infinity}',
    # An echo of what was sent, as a text of another language.
    "a=1&body=error", "Map{body=error}", "message body=an error occurred",
]  # fmt: skip

TEXTS_DECLINING = [
    "fail", "FAIL", "Fail!", "failed", "failure", "error", "ERROR", "Error: invalid signature", "invalid signature",
    "Invalid Signature\n", "invalid\nsignature", "signature mismatch", "checksum error", "unauthorized", "Unauthorized",
    "Forbidden", "403 Forbidden", "401 Unauthorized", "500 Internal Server Error", "bad request", "Bad Sign", "access denied",
    "verify sign fail", "sign_error", "CheckSum is wrong", "missing parameter: nonce", "not ok", "unsuccessful", "error 5",
    '"fail"', '"invalid signature"', ' "error" ', "失败", "签名错误", "验签失败", "非法请求", "无效签名", "拒绝", "簽名錯誤", "실패", "エラー",
]  # fmt: skip

FINE = [*(json.dumps(one, ensure_ascii=False) for one in OBJECTS_FINE), *TEXTS_FINE]
DECLINING = [*(json.dumps(one, ensure_ascii=False) for one in OBJECTS_DECLINING), *TEXTS_DECLINING]
PACKED = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", lambda data: zlib.compress(data)[2:-4]),
]


def shortened(text: str) -> str:
    """Return a text as the name of a test."""
    return ascii(text[:60])


class TestDeclines:
    """Tests for `declines`."""

    @in_each("text", FINE, ids=shortened)
    def test_fine(self, text: str) -> None:
        """What is a yes, or is not clear, does not decline."""
        assert not declines(text.encode())

    @in_each("text", DECLINING, ids=shortened)
    def test_declining(self, text: str) -> None:
        """What says no clearly declines."""
        assert declines(text.encode())

    @pytest.mark.parametrize(("expected", "texts"), [(False, FINE), (True, DECLINING)], ids=["fine", "declining"])
    @pytest.mark.parametrize("form", ["spaced", "long", "mark", "gbk"])
    def test_forms(self, expected: bool, texts: list[str], form: str) -> None:
        """White space, other bytes beside it, a byte order mark or a Chinese encoding change nothing."""
        for text in texts:
            body = text.encode()
            if form == "spaced":
                body = b"\r\n " + body + b"\n"
            elif form == "long" and text.startswith("{"):
                body = body + b" " * 600
            elif form == "mark":
                body = b"\xef\xbb\xbf" + body
            elif form == "gbk":
                body = text.encode("gb18030")
            assert expected is declines(body), text

    @pytest.mark.parametrize(("coding", "pack"), PACKED, ids=["gzip", "x-gzip", "deflate", "raw deflate"])
    def test_packed(self, coding: str, pack: Any) -> None:
        """A body that came compressed is read, in whatever case its header is written."""
        headers = (("Date", "now"), ("content-ENCODING", coding.upper()))
        assert declines(pack(b'{"code":414,"msg":"bad sign"}'), headers)
        assert not declines(pack(b'{"code":200,"msg":"ok"}'), headers)

    def test_packed_without_a_header(self) -> None:
        """What is gzip by its first bytes is read; what is not, and is not said to be, stays what it is."""
        assert declines(gzip.compress(b"fail", mtime=0))
        assert not declines(zlib.compress(b"fail"))

    @pytest.mark.parametrize(
        "body",
        [b"\x1f\x8b", b"\x1f\x8bfail", gzip.compress(b"fail", mtime=0)[:9], b"\x1b(\xb5/\xfd", b"\0", b"\x80fail"],
    )
    def test_unreadable(self, body: bytes) -> None:
        """What cannot be read does not decline."""
        assert not declines(body, (("Content-Encoding", "gzip"),))
        assert not declines(body)

    def test_bomb(self) -> None:
        """Little is unpacked of a body that would become huge."""
        packed = gzip.compress(b" " * 50_000_000 + b'{"code":500}')
        assert not declines(packed)
        assert 64 * 1024 == UNPACKED == len(readable(packed))

    @pytest.mark.parametrize(("expected", "size"), [(True, 200), (False, 201)])
    def test_long_texts(self, expected: bool, size: int) -> None:
        """A plain text of 200 characters can be an answer; a longer one is a page."""
        assert expected is declines(b"error" + b" x" * ((size - 5) // 2) + b"x" * ((size - 5) % 2))

    @pytest.mark.parametrize("size", [511, 512, 513])
    def test_remembered(self, size: int) -> None:
        """Whether a body is short enough to be remembered makes no difference."""
        assert declines(b'{"code":500}'.ljust(size))
        assert not declines(b'{"code":200}'.ljust(size))

    @pytest.mark.parametrize("provider", providers.names())
    def test_echo(self, provider: str) -> None:
        """An echo of what was sent does not decline, whatever its own fields say: one element or the whole array."""
        for event_type in providers.load(provider).catalogue:
            for sample in event_type.examples:
                assert not declines(json.dumps(sample, ensure_ascii=False).encode()), event_type.name
                assert not declines(json.dumps([sample]).encode()), event_type.name
                for field, bad in (
                    ("code", "500"),
                    ("status", "error"),
                    ("error", "bad"),
                    ("result", "fail"),
                    ("msg", "失败"),
                ):
                    if len(sample) > 5:
                        assert not declines(json.dumps({**sample, field: bad}).encode()), (event_type.name, field)

    @given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "br", ""]))
    def test_any_bytes(self, body: bytes, coding: str) -> None:
        """Whatever comes is read without an error."""
        declines(body, (("Content-Encoding", coding),))
        quoted(body, (("Content-Encoding", coding),))

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["code", "msg", "error", "errors", "success", "status", "x"]), inner)
            ),
        )
    )
    def test_any_json(self, value: Any) -> None:
        """Whatever JSON says is read without an error, and the same whether or not it is remembered."""
        body = json.dumps(value).encode()
        assert declines(body) is declines(body + b" " * 600)


class TestQuoted:
    """Tests for `quoted`."""

    @pytest.mark.parametrize(
        ("expected", "body"),
        [
            ("", b""),
            ("", b" \r\n\t "),
            ("fail", b"fail\r\n"),
            ('{ "code": 1, "msg": "签名错误" }', '{\r\n\t"code": 1,\n  "msg": "签名错误"\n}\n'.encode()),
            ("签名错误", "签名错误".encode("gbk")),
            ("ok", b"\xef\xbb\xbfok"),
            (r"\x1b[31mred\x1b[0m\x07", b"\x1b[31mred\x1b[0m\x07"),
            (r"a\u202eb\x00\x7f", "a\u202eb\0\x7f".encode()),
            ("😀", "😀".encode()),
            ("a" * 160, b"a" * 160),
            ("a" * 159 + "…", b"a" * 161),
            ("中" * 159 + "…", "中".encode() * 60_000),
            (r"\x00" * 39 + r"\x0" + "…", b"\0" * 50_000),
            ("a b", b"a" + b" " * 1000 + b"b"),
        ],
    )
    def test_quoted(self, expected: str, body: bytes) -> None:
        """One line of 160 characters at most, and nothing in it that plays with a terminal."""
        assert expected == quoted(body)
        assert expected == quoted(gzip.compress(body))
        assert len(quoted(body)) <= QUOTED

    @pytest.mark.parametrize(("expected", "most"), [("abc", 3), ("a…", 2), ("…", 1)])
    def test_most(self, expected: str, most: int) -> None:
        """As many characters as are asked for."""
        assert expected == quoted(b"abc", most=most)

    def test_bytes_of_no_encoding(self) -> None:
        """What is no text is shown byte by byte."""
        assert r"\xff\xfe\xfd" == quoted(b"\xff\xfe\xfd")

    def test_cut_in_a_character(self) -> None:
        """What is read of a long body may end inside a character."""
        for size in range(4):
            assert "x" * size + "中" * ((UNPACKED - size) // 3) == readable(b"x" * size + "中".encode() * UNPACKED)
