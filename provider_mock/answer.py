"""What a receiver says in its own words: whether a body declines what the status acknowledges, and how it is quoted.

Receivers have answered in many dialects (`code`, `errcode`, `ret`, `success`, plain text, Chinese), and most of
what they answer is fine. So a body declines only where it says so clearly, by these rules:

* Only the top of a body speaks. What is nested belongs to somebody else, and an object most of whose fields
  are none of an answer's is a record, such as an echo of the payload.
* A code speaks where its number is known everywhere: 0, 2xx and their like are a yes; 4xx, 5xx, their like and
  negative ones a no. Any other number is a question that the message beside it decides, if it can.
* Words outweigh numbers: `{"code":200,"success":false}` is a no. Words that contradict each other say nothing.
"""

from __future__ import annotations

import json
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from typing import Any

UNPACKED = 64 * 1024
"""Bytes that are unpacked of a compressed body."""
SHORT = 200
"""Characters of a plain text that can be an answer; a longer one is a page."""
REMEMBERED = 512
"""Bytes of a body that is worth remembering: a receiver's answers differ little."""
QUOTED = 160
"""Characters that are quoted of an answer."""


class _Said(Enum):
    YES = 1
    NO = 2
    UNCLEAR = 3


_YES, _NO, _UNCLEAR = _Said.YES, _Said.NO, _Said.UNCLEAR

# Names are compared in lower case, without `_` and `-`.
_FLAGS = frozenset({"success", "ok", "succeed", "succeeded", "succ", "issuccess", "issucc", "isok"})
_CODES = frozenset(
    {"code", "status", "statuscode", "ret", "retcode", "returncode", "rescode", "resultcode", "respcode", "rc"}
    | {"bizcode", "subcode", "httpcode", "httpstatus"}
)
_ERROR_CODES = frozenset({"errcode", "errorcode", "errno", "err", "errorno", "error"})
_WORDS = frozenset({"result", "state", "actionstatus", "outcome", "retval"})
_ERRORS = frozenset({"errors", "exception", "exceptions"})
_MESSAGES = frozenset(
    {"msg", "message", "errmsg", "errormsg", "errormessage", "errorinfo", "errinfo", "errordescription", "errdesc"}
    | {"info", "detail", "details", "reason", "desc", "description", "resultmsg", "retmsg", "returnmsg", "respmsg"}
    | {"statusmsg", "statustext", "statusmessage", "hint", "title", "resmsg", "submsg"}
)
_BESIDES = frozenset(
    {"data", "timestamp", "time", "ts", "path", "requestid", "traceid", "trace", "uuid", "id", "type", "cost", "took"}
    | {"version", "instance", "method", "stack", "now", "servertime", "jsonrpc", "body", "obj", "content", "extra"}
)
_ANSWERS = _FLAGS | _CODES | _ERROR_CODES | _WORDS | _ERRORS | _MESSAGES | _BESIDES

_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.0*)?")
_OF_A_KIND = re.compile(r"[ABC][0-9]{4}")
"""Error codes as Alibaba's Java guidelines want them; 00000 is success."""
_FORM = re.compile(r"[={}\[\]<>|]")
"""What stands in a form, in markup or in a literal, and in no sentence."""

# What takes an error back, before errors are looked for.
_TAKEN_BACK = re.compile(
    r"\b(?:no|not an?|zero|0|without(?: any| an)?|never)\s+(?:\w+\s+)?(?:errors?|failures?|failed|exceptions?|problems?|issues?)\b"
    r"|\b(?:errors?|fail(?:ed|ures?)?|exceptions?)\s*(?:code|count|s)?\s*[:=]\s*(?:0\b|null\b|nil\b|(?:none|no|false)\b(?!\s+\w)|\[\]|\"\")"
    r"|(?:没有|沒有|并无|未发现|未出现|无|無|零|0\s*[个個条]?)(?:任何)?(?:错误|錯誤|异常|異常|失败|失敗)"
    r"|(?:错误|失败|异常)(?:数|数量|码|次数)?\s*[:：=]?\s*0(?![0-9])"
)
_DENIALS = re.compile(
    r"\b(?:errors?|err|fail|fails|failed|failure|failures|invalid|illegal|unauthori[sz]ed|unauthenticated|forbidden"
    r"|denied|declined|reject(?:ed|s)?|refused?|wrong|mismatch(?:ed|es)?|incorrect|exceptions?|bad (?:request|sign\w*"
    r"|checksum|token|gateway|param\w*|md5|nonce|timestamp|secret|app ?key)|unable to|cannot|can t|could not|couldn t"
    r"|missing|expired|malformed|untrusted|unsuccessful|not (?:ok|success\w*|successful\w*|match\w*|allowed|valid"
    r"|authori[sz]ed|permitted|verified|accepted|equal|received|saved|stored|processed)"
    r"|(?:does|do|did|is) ?n(?:o| )t (?:match|equal|valid)|nok)\b"
    r"|失败|失敗|错误|錯誤|无效|無效|非法|拒绝|拒絕|不合法|不正确|不正確|不匹配|不一致|不相符|不符|不对|有误|有誤"
    r"|异常|異常|未授权|未授權|无权|無權|过期|過期|超时|缺少|缺失|不能为空|不可为空|为空|未通过|不通过|禁止|未成功|不成功"
    r"|エラー|不正|無効|오류|실패"
)
_CONSENTS = re.compile(r"\b(?:ok|okay|success|successful|successfully|succeed|succeeded|succ)\b|成功|正常")
_SETTLED = re.compile(r"\b(?:duplicate[ds]?|already|ignored?|skip(?:ped|s)?)\b|重复|重複|已处理|已存在|忽略|跳过")
"""What says that there was nothing to do: no error, whatever else is said."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[_\-'’./]+")


_decode = json.JSONDecoder(strict=False).decode
"""Reads texts with line breaks and other control characters in them, too: many receivers write their JSON by hand."""


def declines(body: bytes, headers: Sequence[tuple[str, str]] = ()) -> bool:
    """Return whether the body of a 200 says that what was delivered was not taken; False where that is unclear."""
    if not body:
        return False
    if len(body) <= REMEMBERED and not (headers and _packed(body)):
        return _declines(body)
    return _text_declines(readable(body, headers))


def quoted(body: bytes, headers: Sequence[tuple[str, str]] = (), most: int = QUOTED) -> str:
    """Return the beginning of a body in one line, unpacked, control characters escaped."""
    text = readable(body, headers, most * 8)
    line = "".join(_escaped(" ".join(text[: most * 8].split())))
    return line if len(line) <= most else line[: most - 1] + "…"


def readable(body: bytes, headers: Sequence[tuple[str, str]] = (), most: int = UNPACKED) -> str:
    """Return a body as text: unpacked, `most` bytes of it, and in the encoding that it is probably in."""
    if _packed(body):
        body = _unpacked(body, headers)
    body = body.removeprefix(BOM_UTF8)[:most]
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        if len(body) == most and error.start >= most - 3:  # A character was cut in two.
            return body[: error.start].decode()
    try:
        return body.decode("gb18030")
    except UnicodeDecodeError:
        return body.decode("utf-8", "backslashreplace")


@lru_cache(maxsize=512)
def _declines(body: bytes) -> bool:
    return _text_declines(readable(body))


def _packed(body: bytes) -> bool:
    """Return whether a body begins as no text does."""
    return body[:1] in (b"\x1f", b"\x78") or body[:1] > b"\x7f" or body[:1] < b"\x09"


def _unpacked(body: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    named = " ".join(value.lower() for name, value in headers if name.lower() == "content-encoding")
    windows = [31] if body[:2] == b"\x1f\x8b" else [15, -15] if "deflate" in named else []
    for window in windows:
        with suppress(zlib.error):
            return zlib.decompressobj(window).decompress(body, UNPACKED)
    return body


def _escaped(text: str) -> Iterator[str]:
    for character in text:
        yield character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _text_declines(text: str) -> bool:
    text = text.strip()
    try:
        document = _decode(text)
    except (ValueError, RecursionError):
        return _plainly_declines(text)
    if isinstance(document, str):
        return _plainly_declines(document.strip())
    return isinstance(document, dict) and _object_declines(document)


def _plainly_declines(text: str) -> bool:
    """Return whether a text without a form declines: it is short and begins with a word."""
    if not text or len(text) > SHORT or not text[0].isalnum() or _FORM.search(text):
        return False
    return _message(text) is _NO


def _object_declines(answer: Mapping[str, Any]) -> bool:
    fields = [(_named(name[:SHORT]), value) for name, value in answer.items()]
    strange = sum(name not in _ANSWERS for name, _ in fields)
    if strange > 2 and strange > len(fields) - strange:
        return False
    numbers: set[_Said] = set()
    words: set[_Said] = set()
    messages: set[_Said] = set()
    for name, value in fields:
        if name in _MESSAGES:
            if isinstance(value, str) and (said := _message(value)):
                messages.add(said)
        elif said := _flag(name, value):
            words.add(said)
        elif (said := _number(name, value)) is not None:
            numbers.add(said)
    if words & {_YES, _NO}:
        return _NO in words and _YES not in words
    if numbers & {_YES, _NO}:
        return _NO in numbers and _YES not in numbers | messages
    if _NO not in messages or _YES in messages:
        return False
    # A message alone counts where there is nothing else.
    return bool(numbers | words) or not strange


@lru_cache(maxsize=512)
def _named(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


def _flag(name: str, value: Any) -> _Said | None:
    """Return what a field says in words, or with true and false; None if it does not."""
    if isinstance(value, str):
        value = value.strip()
        if not value or _NUMBER.fullmatch(value):
            return None
    if name in _FLAGS or name in _WORDS or name in _CODES:
        if isinstance(value, bool):
            return None if name in _CODES and name not in ("status", "ret") else _YES if value else _NO
        if isinstance(value, str):
            return _word(value)
    elif name in _ERROR_CODES or name in _ERRORS:
        if isinstance(value, bool):
            return _NO if value else None
        if isinstance(value, str):
            return None if value.lower() in _NOTHING or _message(value) is _YES or _taken_back(value) else _NO
        if isinstance(value, list):
            return _NO if any(value) else None
        if isinstance(value, dict):
            return _NO if any(value.values()) and not _is_fine(value) else None
    return None


_NOTHING = frozenset({"none", "null", "nil", "no", "false", "n/a", "-", "undefined", "noerror", "ok", "success"})


def _word(value: str) -> _Said | None:
    if value.lower() in ("true", "false"):
        return _YES if value.lower() == "true" else _NO
    if _OF_A_KIND.fullmatch(value):
        return _NO
    return (_message(value) or _UNCLEAR) if len(value) <= SHORT else _UNCLEAR


def _is_fine(error: Mapping[str, Any]) -> bool:
    """Return whether an object that is called an error names no error: its code is a yes."""
    codes = [
        _number("code", value) for name, value in error.items() if name.lower() in ("code", "errcode", "errorcode")
    ]
    return bool(codes) and all(code is _YES for code in codes)


def _number(name: str, value: Any) -> _Said | None:
    """Return what a code says; None if the field is none."""
    if name not in _CODES and name not in _ERROR_CODES and name not in _WORDS and name not in _FLAGS:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if name in _FLAGS:
        return _YES if value == 1 else _UNCLEAR
    if value == 0 or 200 <= value < 300 or value in (20000, 200000):
        return _YES
    if value < 0 or name in _ERROR_CODES:
        return _NO
    if name in _WORDS:  # It can be a count.
        return _UNCLEAR
    return _NO if 400 <= value < 600 or 40000 <= value < 60000 else _UNCLEAR


def _taken_back(text: str) -> bool:
    plain = _plain(text)
    return bool(_TAKEN_BACK.search(plain)) and not _DENIALS.search(_TAKEN_BACK.sub(" ", plain))


def _plain(text: str) -> str:
    return _SEPARATORS.sub(" ", _CAMEL.sub(" ", text)).lower()


def _message(text: str) -> _Said | None:
    """Return whether a text speaks of an error or of success; None if of neither, or of both."""
    return _beginning(text[: SHORT * 4])


@lru_cache(maxsize=512)
def _beginning(text: str) -> _Said | None:
    plain = _TAKEN_BACK.sub(" ", _plain(text))
    if _SETTLED.search(plain):
        return None
    denied = bool(_DENIALS.search(plain))
    # "unsuccessful" and the like hold no consent: it is looked for in what is left.
    consented = bool(_CONSENTS.search(_DENIALS.sub(" ", plain)))
    if denied:
        return None if consented else _NO
    return _YES if consented or _TAKEN_BACK.search(_plain(text)) else None
