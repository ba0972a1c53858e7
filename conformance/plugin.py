"""The pytest plugin: options and hooks only. Everything else is imported once --receiver-url is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from im_callback.conformance.option_table import FLAGS, OPTIONS, REPEATABLE

if TYPE_CHECKING:
    from im_callback.conformance.session import ReceiverSession

SWITCH = "--receiver-url"
GROUP = "receiver conformance (checks a server that an IM service calls)"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options; each but the URL also as an ini value."""
    group = parser.getgroup("receiver", GROUP)
    group.addoption(SWITCH, metavar="URL", help="where callbacks are posted; switches the checks on")
    group.addoption("--receiver-list", action="store_true", help="print every check and exit")
    for name, value, text in OPTIONS:
        group.addoption(f"--receiver-{name}", metavar=value, help=text)
        parser.addini(f"receiver_{name.replace('-', '_')}", text)
    for name, value, text in REPEATABLE:
        group.addoption(f"--receiver-{name}", metavar=value, action="append", help=text)
        parser.addini(f"receiver_{name.replace('-', '_')}", text, type="linelist")
    for name, text in FLAGS:
        group.addoption(f"--receiver-{name}", action="store_true", default=None, help=text)
        parser.addini(f"receiver_{name.replace('-', '_')}", text)


@pytest.fixture
def receiver_effects() -> Callable[[], list[dict[str, Any]]] | None:
    """Return a function that lists what the application recorded; override it in a conftest.py.

    It takes nothing and returns a list of dictionaries, in the order in which the application shows them.
    """
    return None


def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Print the checks, if that is all that was asked for."""
    if not config.getoption("--receiver-list"):
        return None
    from im_callback.conformance.given import BadOption
    from im_callback.conformance.options import list_checks
    from im_callback.conformance.session import given

    try:
        list_checks(given(config))
    except BadOption as error:
        raise pytest.UsageError(str(error)) from None
    return 0


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Hand over to the receiver session if there is a receiver."""
    if config.getoption(SWITCH) is None:
        return
    from im_callback.conformance.session import ReceiverSession

    config.pluginmanager.register(ReceiverSession(config), "receiver-session")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Forget the receiver session."""
    session: ReceiverSession | None = config.pluginmanager.get_plugin("receiver-session")
    if session is not None:
        config.pluginmanager.unregister(session)
        session.close()
