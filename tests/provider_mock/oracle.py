"""A second opinion on signatures, written from the formulas in the documents; it knows nothing of the package."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from urllib.parse import parse_qs, urlsplit


def digest(algorithm: str, data: bytes) -> str:
    """Return the lower-case hex digest that coreutils compute: `md5`, `sha1` or `sha256`."""
    done = subprocess.run([f"{algorithm}sum"], input=data, capture_output=True, check=True)
    return done.stdout.split()[0].decode()


def commsease(headers: Iterable[tuple[str, str]], body: bytes, app_key: str, app_secret: str) -> bool:
    """Return whether AppKey, MD5 = md5(body) and CheckSum = sha1(AppSecret + MD5 + CurTime) are all right."""
    given = {name.lower(): value for name, value in headers}
    md5 = digest("md5", body)
    checksum = digest("sha1", f"{app_secret}{md5}{given['curtime']}".encode())
    return (given["appkey"], given["md5"], given["checksum"]) == (app_key, md5, checksum)


def rongcloud(url: str, app_key: str, app_secret: str) -> bool:
    """Return whether appKey and signature = sha1(AppSecret + Nonce + Timestamp) are right."""
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    (key,), (nonce,), (time,) = query["appKey"], query["nonce"], query["timestamp"]
    return key == app_key and query["signature"] == [digest("sha1", f"{app_secret}{nonce}{time}".encode())]


def tencent(url: str, app_key: str, token: str, now: float) -> bool:
    """Return whether SdkAppid, Sign = sha256(Token + RequestTime) and the minute's grace are right; `now` in seconds."""
    query = parse_qs(urlsplit(url).query, strict_parsing=True)
    (key,), (time,) = query["SdkAppid"], query["RequestTime"]
    due = digest("sha256", f"{token}{time}".encode())
    return key == app_key and query["Sign"] == [due] and abs(now - int(time)) <= 60


def accepts(
    provider: str, url: str, headers: Iterable[tuple[str, str]], body: bytes, key: str, secret: str, now: float
) -> bool:
    """Return whether a receiver that follows the documents lets the request in."""
    if provider == "commsease":
        return commsease(headers, body, key, secret)
    if provider == "rongcloud":
        return rongcloud(url, key, secret)
    return tencent(url, key, secret, now)
