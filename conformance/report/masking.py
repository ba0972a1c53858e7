"""Takes secrets out of texts where they stand, and leaves everything else as it is.

What is long enough to be a secret is masked wherever it stands as a word, also percent-encoded, in
base64 and escaped as in JSON. What is short (`X-Env: 1`) is masked only behind its own name, or in the
address that it belongs to.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from im_callback.conformance.settings import Settings
from im_callback.provider_mock.contract import MASK

TELLING = 8
"""Characters from which on a value can be told from ordinary text."""
WORD = "0-9A-Za-z_"

_ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<userinfo>[^\s/?#'\"]*)@")
_CREDENTIAL = r"[\w.-]*(?:token|secret|passw(?:or)?d|passwd|pwd|pass|signature|sig|key|auth|credential|session)[\w.-]*"
_ASSIGNED = re.compile(rf"(?i)(?<![\w.-])(?P<name>{_CREDENTIAL}|code|sas)(?P<sign>=| +)(?P<value>[^\s&;#'\"]+)")
_PAIR = re.compile(r"[?&](?P<name>[^=&#\s]+)=(?P<value>[^&#\s]+)")
_NAMED_CREDENTIAL = re.compile(rf"(?i){_CREDENTIAL}|cookie|.*authori[sz]ation.*")
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})")
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_USUAL = re.compile(
    r"(?i)accept.*|content-.*|host|user-agent|origin|referer|via|connection|cache-control|forwarded"
    r"|x-forwarded-.*|x-real-ip|date|from|expect|te|trailer|upgrade"
)
"""Headers that everyone may see."""


@dataclass(frozen=True, slots=True)
class Masking:
    """Takes the given secrets out of texts.

    `words` are masked wherever they stand whole; `places` are patterns whose last group alone is masked. `spelled` puts
    what a text says of options into the words of whoever asked for the run.
    """

    words: tuple[str, ...]
    places: tuple[re.Pattern[str], ...] = ()
    spelled: Callable[[str], str] | None = None

    @classmethod
    def of(cls, settings: Settings, *addresses: str | None) -> Masking:
        """Return the masking for a run: its app secrets, the values of its extra headers, secrets in its URL.

        `addresses` are those of the effects, or whatever else may hold a password or a token. The default
        secrets stand in the documentation and hide nothing.
        """
        known = settings.provider.defaults.secrets
        found = [one for one in settings.credentials.secrets if one and one not in known]
        places: list[str] = []
        for name, value in settings.headers:
            if value:
                words, patterns = _of_header(name, value, settings.url)
                found += words
                places += patterns
        for address in (settings.url, *addresses):
            words, patterns = secrets_in(address or "")
            found += words
            places += patterns
        return cls.hiding(found, places)

    @classmethod
    def hiding(cls, words: Iterable[str], places: Iterable[str] = ()) -> Masking:
        """Return the masking of these words, in every form, and of the last group of these patterns."""
        forms = {form for word in words for form in _forms(word) if form}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        return cls(tuple(longest_first), tuple(re.compile(one) for one in dict.fromkeys(places)))

    def __call__(self, text: str) -> str:
        """Return the text without the secrets."""
        for pattern in self.places:
            text = pattern.sub(_without_last_group, text)
        whole = _whole(self.words)
        if whole:
            text = whole.sub(MASK, text)
        return self.spelled(text) if self.spelled is not None else text


def secrets_in(text: str) -> tuple[list[str], list[str]]:
    """Return the secrets in an address or a command: as words, and as patterns of where they stand."""
    words: list[str] = []
    places: list[str] = []
    for found in _ADDRESS.finditer(text):
        user, colon, password = found["userinfo"].rpartition(":")
        if not password:
            continue
        before = f"://{re.escape(user)}{colon}"
        places += [f"({before})({re.escape(form)})(?=@)" for form in {password, unquote(password)}]
        if telling(unquote(password)):
            words += [password, unquote(password)]
        if colon:
            # As it travels in a header.
            words.append(_base64(f"{unquote(user)}:{unquote(password)}"))
    pairs = [(one["name"], "=", one["value"]) for one in _PAIR.finditer(text)]
    pairs = [one for one in pairs if _ASSIGNED.fullmatch("".join(one)) or telling(unquote_plus(one[2]))]
    pairs += [(one["name"], one["sign"], one["value"]) for one in _ASSIGNED.finditer(text)]
    for name, sign, value in pairs:
        plain = unquote_plus(value)
        forms = {value, plain, quote(plain, safe=""), quote(plain, safe=".:"), quote_plus(plain)}
        places += [f"({re.escape(name + sign)})({re.escape(form)})(?![{WORD}])" for form in sorted(forms)]
        if telling(plain):
            words.append(plain)
    return words, places


def telling(value: str) -> bool:
    """Return whether a value can be told from ordinary text: it is long, and of letters and digits or very long."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return len(value) >= TELLING and (mixed or len(value) >= 2 * TELLING)


def _of_header(name: str, value: str, url: str) -> tuple[list[str], list[str]]:
    spelled = re.escape(name).replace(r"\-", "[-_]")
    places = [rf"(?i:({spelled}[\"']?\s*[:=]\s*[\"']?))({re.escape(value)})(?![{WORD}])"]
    if _USUAL.fullmatch(name) or value in url:
        return [], places
    scheme, _, rest = value.partition(" ")
    words = [value] if telling(value) else []
    if _NAMED_CREDENTIAL.fullmatch(name) and telling(rest):
        # The token alone is as good as the whole value.
        words.append(rest)
        if scheme.lower() == "basic":
            words += _basic(rest)
    return words, places


def _basic(encoded: str) -> list[str]:
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return []
    password = decoded.partition(":")[2]
    return [decoded, *([password] if telling(password) else [])]


def _forms(word: str) -> Iterator[str]:
    """Yield a secret as texts may carry it."""
    yield word
    # A text that was no UTF-8 when it was read is no address and no header either.
    if any("\ud800" <= c <= "\udfff" for c in word):
        return
    escaped = json.dumps(word)[1:-1]
    yield from (escaped, escaped.replace("/", r"\/"), _ESCAPE.sub(lambda found: rf"\u{found[1].upper()}", escaped))
    yield json.dumps(word, ensure_ascii=False)[1:-1]
    for encoded in (quote(word, safe=""), quote(word), quote_plus(word)):
        yield from (encoded, _PERCENT.sub(lambda found: found[0].lower(), encoded))
    yield from (html.escape(word), html.escape(word, quote=False))
    if len(word) > 3:
        for encoded in (_base64(word), base64.urlsafe_b64encode(word.encode()).decode()):
            yield from (encoded, encoded.rstrip("="))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()


@lru_cache(maxsize=32)
def _whole(words: tuple[str, ...]) -> re.Pattern[str] | None:
    """Return the pattern of the words where they stand whole; one that is long is found inside others too."""
    if not words:
        return None
    shown = []
    for word in words:
        escaped = re.escape(word)
        # What is glued to a secret does not hide it: a signature's input, say.
        if len(word) < TELLING:
            before = rf"(?<![{WORD}])" if re.match(f"[{WORD}]", word) else ""
            after = rf"(?![{WORD}])" if re.search(f"[{WORD}]$", word) else ""
            escaped = f"{before}{escaped}{after}"
        shown.append(escaped)
    return re.compile("|".join(shown))


def _without_last_group(found: re.Match[str]) -> str:
    last = found.re.groups
    return found[0][: found.start(last) - found.start()] + MASK + found[0][found.end(last) - found.start() :]
