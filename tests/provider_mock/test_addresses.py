"""Addresses: which are some, how they are written on the wire, and which are called by nobody."""

from __future__ import annotations

import re
import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from im_callback.provider_mock.addresses import (
    METADATA_NAMES,
    BadAddress,
    host_of,
    network,
    refused_host,
    refused_ip,
    sendable,
)
from im_callback.provider_mock.contract import Request
from im_callback.provider_mock.delivery.sockets.message import where


class TestSendable:
    """Tests for `sendable`."""

    @pytest.mark.parametrize(
        "text",
        [
            "http://h",
            "http://h/",
            "https://receiver.test:8443/callbacks/in?x=1&y=%2f",
            "http://[::1]:8080/x",
            "http://my_service:1/a;b=(c)[d]",
            "http://h:65535/?",
            "http://h./",
            "http://h/a%20b?c%20d",
        ],
    )
    def test_as_it_is(self, text: str) -> None:
        """What can go over the wire stays as it is."""
        assert text == sendable(text)

    @pytest.mark.parametrize(
        ("text", "sent"),
        [
            ("http://h/回调", "http://h/%E5%9B%9E%E8%B0%83"),
            ("http://h/a?名=值&b=1", "http://h/a?%E5%90%8D=%E5%80%BC&b=1"),
            ("http://例子.测试:80/", "http://xn--fsqu00a.xn--0zwm56d:80/"),
            ("HTTP://H.test/X", "http://h.test/X"),
            ("http://h/a#part", "http://h/a"),
            ("http://h/#?", "http://h/"),
            ("http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/"),
            ("http://１６９。254.169.254/", "http://169.254.169.254/"),
        ],
    )
    def test_written(self, text: str, sent: str) -> None:
        """What cannot is written as it can; the second time nothing changes."""
        assert sent == sendable(text)
        assert sent == sendable(sent)

    def test_login(self) -> None:
        """A user name and a password are taken where they may stand."""
        assert "http://u:p%E4%B8%AD@h/" == sendable("http://u:p中@h/", login=True)
        with pytest.raises(BadAddress, match=r"^holds a user name or password; leave it out"):
            sendable("http://u:p@h/")

    @pytest.mark.parametrize(
        "text",
        [
            *("", "h/x", "ftp://h/", "http:h", "http:///x", "http://h /", "http://h/\n", "http://h/\udcff"),
            *("http://[::1/", "http://[v1.x]/", "http://[::::]/", "http://[127.0.0.1]/", "http://[fe80::1%]/"),
            *("http://[::1]x/", "http://x[::1]/", "http://[::1]x:80/"),
            *("http://a..b/", f"http://{'a' * 64}/", "http://-a/", "http://a\\b/", "http://%31/", "http://h\u3000/"),
        ],
    )
    @pytest.mark.parametrize("login", [False, True])
    def test_none(self, text: str, login: bool) -> None:
        """One sentence for all that is none."""
        with pytest.raises(BadAddress) as caught:
            sendable(text, login=login)
        assert f"{text!r} is no address to post to; give it as http://host:port/path" == str(caught.value)

    @pytest.mark.parametrize("port", ["0", "00", "65536", "x", "8x", "８０", "-1"])
    def test_port(self, port: str) -> None:
        """One that nobody can listen on."""
        with pytest.raises(BadAddress) as caught:
            sendable(f"http://h:{port}/")
        assert f"'http://h:{port}/' has no port from 1 to 65535; give it as http://host:port/path" == str(caught.value)

    def test_any_port(self) -> None:
        """Port 0 stands for one that is found later, where that is possible."""
        assert "http://h:0/" == sendable("http://h:0/", any_port=True)
        with pytest.raises(BadAddress, match="has no port from 1 to 65535"):
            sendable("http://h:65536/", any_port=True)

    def test_too_long(self) -> None:
        """What is too long on the wire is refused, as it would be by many receivers."""
        with pytest.raises(BadAddress, match="is longer than 1800 characters"):
            sendable(f"http://h/{'中' * 200}")

    @pytest.mark.parametrize(
        "text", ["http://u:hush-77/7@h/", "http://u:hush-77@h:0/", "u:hush-77@h", "x://:hush-77@h"]
    )
    def test_no_password_is_told(self, text: str) -> None:
        """Wherever it stands."""
        with pytest.raises(BadAddress) as caught:
            sendable(text, login=True)
        assert "hush" not in str(caught.value)
        assert "***@h" in str(caught.value)

    @given(st.text(max_size=40), st.booleans())
    def test_anything(self, tail: str, login: bool) -> None:
        """What is taken can be sent: one line of ASCII that leads somewhere."""
        try:
            sent = sendable(f"http://h{tail}", login=login)
        except BadAddress:
            return
        to, query = where(Request(sent, (), b""))
        assert re.fullmatch("[!-~]+", sent + to.path + query + to.host)
        assert sent == sendable(sent, login=login)


class TestRefused:
    """What is on the link, and what hands out a cloud's credentials, is called only where that is allowed."""

    @pytest.mark.parametrize(
        "host",
        [
            "169.254.0.1",
            "169.254.169.254",
            "2852039166",
            "0xA9FEA9FE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "169.254.169.254.",
            "fe80::1",
            "fe80::1%eth0",
            "febf::1",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "metadata.google.internal",
            "Metadata.Google.Internal.",
            "metadata.goog",
        ],
    )
    def test_refused(self, host: str) -> None:
        """In every spelling that the system would connect to."""
        assert "and allow_addresses in the configuration file does not name it" in str(refused_host(host))

    @pytest.mark.parametrize(
        "host",
        [
            *("127.0.0.1", "localhost", "2130706433", "10.0.0.1", "192.168.1.1", "169.253.255.255", "169.255.0.0"),
            *("::1", "fec0::1", "fd00::1", "100.100.100.201", "receiver.test", "metadata", "169.254.169.254.nip.test"),
        ],
    )
    def test_taken(self, host: str) -> None:
        """All others, private ones too."""
        assert refused_host(host) is None

    @pytest.mark.parametrize(
        ("host", "allowed", "taken"),
        [
            ("169.254.7.7", "169.254.7.7", True),
            ("169.254.7.7", "169.254.7.0/24", True),
            ("169.254.7.7", "169.254.8.0/24", False),
            ("::ffff:169.254.7.7", "169.254.7.7", True),
            ("2852039166", "169.254.169.254", True),
            ("fe80::1%eth0", "fe80::/10", True),
            ("fd00:ec2::254", "fe80::/10", False),
            ("metadata.google.internal", "169.254.169.254", True),
            ("metadata.google.internal", "169.254.7.7", False),
        ],
    )
    def test_allowed(self, host: str, allowed: str, taken: bool) -> None:
        """By the network that is named."""
        assert taken == (refused_host(host, (network(allowed),)) is None)

    def test_looked_up(self) -> None:
        """What a name leads to is judged as the system gives it."""
        assert "fe80::1%2 is a link-local address" in str(refused_ip("fe80::1%2"))
        assert refused_ip("no address") is None
        for known in METADATA_NAMES.values():
            assert refused_ip(str(known))

    @given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}"]))
    def test_spellings(self, number: int, spelling: str) -> None:
        """A number is judged as the address that the system takes it for."""
        host = spelling.format(number)
        (found, *_) = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        assert refused_host(host) == refused_ip(str(ip_address(found[4][0])))

    def test_host_of(self) -> None:
        """The host is what is judged."""
        assert ["h", "::1", "169.254.1.1"] == [
            host_of(one) for one in ("http://u:p@H:1/x@y", "http://[::1]/", sendable("http://169。254.1.1"))
        ]


def test_network() -> None:
    """What is no network is named."""
    with pytest.raises(BadAddress, match=re.escape("'169.254.7.7/24' is no IP address or network; give it as")):
        network("169.254.7.7/24")
