"""Keeps what stands beside the checks from changing what a run comes to.

A repository's `addopts`, and plugins that are there for its own tests, may choose among tests, stop
early, split them over processes or cut them off the network. What was typed for this run counts;
what the repository says of its tests does not.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import pytest

ALWAYS: tuple[tuple[str, object], ...] = (
    # One receiver, one run: the checks look back over all that was sent, so they stay in this process.
    ("numprocesses", None),
    ("dist", "no"),
    ("tx", []),
    # The checks are there to talk to the receiver.
    ("disable_socket", False),
    ("allow_hosts", None),
    ("block_network", False),
    # The checks have deadlines of their own.
    ("session_timeout", None),
)
UNLESS_TYPED: tuple[tuple[str, object, tuple[str, ...]], ...] = (
    ("keyword", "", ("-k",)),
    ("markexpr", "", ("-m",)),
    ("deselect", None, ("--deselect",)),
    ("maxfail", 0, ("-x", "--exitfirst", "--maxfail")),
    ("lf", False, ("--lf", "--last-failed")),
    ("failedfirst", False, ("--ff", "--failed-first")),
    ("newfirst", False, ("--nf", "--new-first")),
    ("stepwise", False, ("--sw", "--stepwise")),
    ("stepwise_skip", False, ("--sw-skip", "--stepwise-skip")),
    ("stepwise_reset", False, ("--sw-reset", "--stepwise-reset")),
)


KEPT: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("lfplugin", ("--lf", "--last-failed", "--ff", "--failed-first")),
    ("nfplugin", ("--nf", "--new-first")),
)
"""Plugins of pytest that keep what they saw for the team's next run, and the flags that ask for them."""


def set_aside(config: pytest.Config) -> None:
    """Reset the options that are not meant for this run; to be called before other plugins read them."""
    for name, value in ALWAYS:
        _reset(config, name, value)
    for name, value, flags in UNLESS_TYPED:
        if not _typed(config, flags):
            _reset(config, name, value)


def leave_no_trace(config: pytest.Config) -> None:
    """Let the team's own `--lf` and `--nf` know nothing of the checks; to be called once all plugins are there."""
    for name, flags in KEPT:
        plugin = config.pluginmanager.get_plugin(name)
        if plugin is not None and not _typed(config, flags):
            config.pluginmanager.unregister(plugin)


def junit_asked(config: pytest.Config) -> str | None:
    """Return where pytest was to write JUnit XML, and keep it from doing so: the gate writes it, in its own words."""
    path = getattr(config.option, "xmlpath", None)
    _reset(config, "xmlpath", None)
    if not path:
        return None
    file = Path(os.path.expandvars(path)).expanduser()
    # As pytest does; where that is not possible, the file cannot be written, and that is said.
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
    return str(file)


def selects(config: pytest.Config) -> bool:
    """Return whether a choice among the checks was typed, in one of pytest's own ways."""
    return _typed(config, tuple(flag for _, _, flags in UNLESS_TYPED for flag in flags))


def _typed(config: pytest.Config, flags: tuple[str, ...]) -> bool:
    return any(_is(flag, str(argument)) for argument in config.invocation_params.args for flag in flags)


def _reset(config: pytest.Config, name: str, value: object) -> None:
    if hasattr(config.option, name):
        setattr(config.option, name, value)


def _is(flag: str, argument: str) -> bool:
    """Return whether an argument gives a flag, also among several short ones (`-vx`) or with its value (`-kword`)."""
    if flag.startswith("--"):
        return argument == flag or argument.startswith(f"{flag}=")
    return re.match(rf"-[A-Za-z]*{flag[1]}", argument) is not None
