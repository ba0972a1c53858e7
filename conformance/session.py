"""One receiver in a pytest session: collects the checks, runs them as items, and sets the exit status."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from im_callback.conformance import network
from im_callback.conformance.check import Check, all_checks, checks_of, family_modules
from im_callback.conformance.effects import EffectsError
from im_callback.conformance.gate import Gate
from im_callback.conformance.given import BadOption, Given
from im_callback.conformance.isolation import junit_asked, leave_no_trace, selects, set_aside
from im_callback.conformance.report.screen import WIDTH
from im_callback.conformance.report.visible import no_command
from im_callback.conformance.verdict import Result, Verdict

FIXTURE = "receiver_effects"
ROOT = "conformance"
"""The node id under which all checks stand."""
OUTSIDE = {
    Verdict.COULD_NOT_RUN: ("could not run", "?", "COULD NOT RUN"),
    Verdict.NOT_APPLICABLE: ("not applicable", "-", "NOT APPLICABLE"),
}
QUIETLY = {Verdict.PASS: "passed", Verdict.FAIL: "checks failed", **{one: told[0] for one, told in OUTSIDE.items()}}
"""What verdicts are counted as where pytest is to print nothing else of them: of what it calls failed it prints more."""
EXCUSED = "excused"
COLOURS = {"bad": "red", "odd": "yellow", "good": "green"}
VERDICT = "receiver_verdict"
UNRUN = (
    "pytest ended before it, or a fixture, a plugin or a hook kept it from running",
    "See the errors and skips above (-rs shows them), or leave out -x",
)
"""Why a check did not run that was selected, and what to do."""


def given(config: pytest.Config) -> Given:
    """Return the options as pytest has them."""

    def typed(name: str) -> Any:
        return config.getoption(f"--receiver-{name}")

    def kept(name: str) -> Any:
        return config.getini(f"receiver_{name.replace('-', '_')}")

    return Given(typed, config.invocation_params.dir, kept)


class CheckEnded(Exception):
    """A check failed, or we did: carries the result to the report."""

    def __init__(self, result: Result) -> None:
        super().__init__(result.id)
        self.result = result


class ReceiverSession:
    """The plugin object that is registered while a receiver is checked."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.given = given(config)
        self.reporter: Any = None
        """pytest's own reporter, where it has one."""
        self.heads = self._tells and not getattr(config.option, "no_header", True)
        """Whether our header stands in the place of pytest's, which speaks of plugins and folders."""
        if self.heads:
            config.option.no_header = True
        try:
            self.gate = Gate(self.given)
            self._forbid_paths()
            self._forbid_hidden_fixture()
            set_aside(config)
            junit = junit_asked(config)
            if not config.option.collectonly:
                self.gate.take_outputs([("--junitxml", "junit", junit)] if junit else [])
        except BadOption as error:
            raise pytest.UsageError(str(error)) from None

    def close(self) -> None:
        """Let go of what outlives a session."""
        self.gate.close()

    @property
    def verbose(self) -> bool:
        """Whether everything is to be told."""
        return bool(getattr(self.config.option, "verbose", 0) >= 1)

    def _forbid_paths(self) -> None:
        config = self.config
        # Paths in addopts, or from testpaths, are the user's own tests; these were typed.
        typed = [argument for argument in config.args if argument in map(str, config.invocation_params.args)]
        if config.args_source is config.ArgsSource.ARGS and typed:
            raise BadOption(
                f"--receiver-url runs the receiver checks alone: leave out the paths ({' '.join(typed)}), "
                "and choose checks with --receiver-check=GLOB"
            )
        config.args = [str(config.rootpath)]

    def _forbid_hidden_fixture(self) -> None:
        config = self.config
        if self.given.one("effects") is not None:
            return
        for plugin in config.pluginmanager.get_plugins():
            file = Path(str(getattr(plugin, "__file__", None) or ""))
            if file.name != "conftest.py" or not hasattr(plugin, FIXTURE):
                continue
            if file.parent != config.rootpath and config.rootpath in file.parents:
                raise BadOption(
                    f"the fixture {FIXTURE} in {file.relative_to(config.rootpath)} holds for that folder's tests only: "
                    f"move it to {config.rootpath / 'conftest.py'}, or give --rootdir={file.parent}"
                )

    def pytest_report_header(self) -> list[str]:
        """Say what is checked, and how to run the same again, among what pytest says where all is to be told."""
        return self.gate.header()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Say it alone else."""
        if self.heads and self.reporter is not None:
            for line in self.gate.header():
                self.reporter.line(line)

    def pytest_sessionstart(self) -> None:
        """Take an earlier result away, and open what stands around the receiver."""
        leave_no_trace(self.config)
        self.reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.reporter is not None and not self.verbose:
            # A line for each family of checks takes its place.
            self.reporter.showfspath = False
        self.gate.clear_outputs()
        if not self.config.option.collectonly:
            try:
                self.gate.open()
            except BadOption as error:
                raise pytest.UsageError(str(error)) from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Let no norecursedirs, --ignore or virtual environment hide the folder that the checks stand for."""
        return False if collection_path == self.config.rootpath else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Put the checks where the root of the user's tests would be."""
        if path == self.config.rootpath:
            return CheckDirectory.from_parent(parent, path=path, nodeid=ROOT, session_of=self)
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, Any, Any]:
        """Let nothing but what was typed leave checks out: a run is not green for what others took away."""
        collected = list(items)
        result = yield
        if not selects(self.config):
            items[:] = collected
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Keep the order of the catalogue, whatever other plugins made of it."""
        order = {check.function: index for index, check in enumerate(all_checks(explored=True))}
        session.items.sort(key=lambda item: order[item.check.function] if isinstance(item, CheckItem) else -1)
        self.gate.plan(dict.fromkeys(item.check for item in session.items if isinstance(item, CheckItem)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_timeout_set_timer(self, item: pytest.Item) -> bool | None:
        """Let no time limit for tests end a check, or the process: the checks have deadlines of their own."""
        return True if isinstance(item, CheckItem) else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note the verdict in the report, and take secrets out of what others put there."""
        report = yield
        if isinstance(item, CheckItem):
            if item.result is not None and report.when == "call":
                report.user_properties.append((VERDICT, item.result.verdict.value))
            self._hide(report)
        return report

    def _hide(self, report: pytest.TestReport) -> None:
        told = report.longrepr
        if isinstance(told, tuple):
            path, line, reason = told
            report.longrepr = (path, line, self.gate.told(reason))
        elif told is not None and (hidden := self.gate.told(str(told))) != str(told):
            # A traceback with the values of variables, say: the colours go, the secrets too.
            report.longrepr = hidden
        report.sections = [(name, no_command(self.gate.mask(content))) for name, content in report.sections]
        if hasattr(report, "wasxfail"):
            report.wasxfail = self.gate.told(report.wasxfail)

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:
        """Take the secrets out of a traceback before others print it."""
        traces = [link[0] for link in getattr(excrepr, "chain", ())] or [getattr(excrepr, "reprtraceback", None)]
        for trace in traces:
            for entry in getattr(trace, "reprentries", ()):
                entry.lines = [self.gate.mask(line) for line in entry.lines]
                if values := getattr(entry, "reprlocals", None):
                    values.lines = [self.gate.mask(line) for line in values.lines]
                if given := getattr(entry, "reprfuncargs", None):
                    given.args = [(name, self.gate.mask(str(value))) for name, value in given.args]

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show what could not run as what it is, not as skipped; unless all is to be told, only count."""
        verdict = dict(getattr(report, "user_properties", ())).get(VERDICT)
        if not verdict or report.when != "call":
            return None
        if self.verbose:
            return OUTSIDE.get(Verdict(verdict))
        counted = EXCUSED if hasattr(report, "wasxfail") else QUIETLY.get(Verdict(verdict))
        return (counted, "", "") if counted else None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Generator[None, None, None]:
        """Judge the run, write the results, and set the exit status: the last word, whatever other plugins say."""
        ended = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
        if ended and not self.config.option.collectonly:
            self.gate.finish((item.check for item in session.items if isinstance(item, CheckItem)), UNRUN)
        try:
            yield
        except Exception as error:  # noqa: BLE001 - What ends another plugin's hook is no verdict about the receiver.
            self.gate.fail("a plugin, or a hook in a conftest.py, failed at the end", error)
        if self.gate.conclusion is not None:
            session.exitstatus = int(self.gate.conclusion.status)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print what could not run, what failed without failing the run, and the verdict."""
        if self.gate.conclusion is None:
            return
        writer = self.config.get_terminal_writer()

        def marked(kind: str, line: str) -> str:
            return writer.markup(line, **{COLOURS[kind]: True}) if kind in COLOURS else line

        if self._draws:
            self.reporter.rewrite("", erase=True)
            self.reporter.write("\r")
        terminalreporter.section("receiver conformance")
        for result in self.gate.results.values():
            if self.verbose and result.verdict is Verdict.FAIL and self.gate.excuse(result):
                terminalreporter.line(f"{self.gate.block(result)}\n")
        known = bool(terminalreporter.isatty) or "COLUMNS" in os.environ
        for line in self.gate.closing(writer.fullwidth if known else WIDTH, marked):
            terminalreporter.line(line)
        for line in self.gate.annotations():
            terminalreporter.line(line)

    def pytest_runtest_logstart(self, location: tuple[str, int | None, str]) -> None:
        """Say on a terminal which check is under way."""
        if self._draws:
            self.reporter.rewrite(self.gate.progress.bar(location[2], self._columns), erase=True)

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Print the line of a family once all of it has ended; on a terminal the bar is enough."""
        found = self.gate.results.get(report.location[2])
        if found is None or report.when != "call":
            return
        for line in self.gate.progress.ended(found):
            if self._tells and self.reporter is not None and not self._draws:
                self.reporter.line(line)

    @property
    def _tells(self) -> bool:
        """Whether we say how far we are: with -v pytest does, with -q nobody."""
        return getattr(self.config.option, "verbose", 0) == 0

    @property
    def _draws(self) -> bool:
        return self._tells and self.reporter is not None and bool(self.reporter.isatty)

    @property
    def _columns(self) -> int:
        return int(self.config.get_terminal_writer().fullwidth) - 1

    def perform(self, item: CheckItem, request: pytest.FixtureRequest) -> None:
        """Run an item's check and end the test accordingly; what runs an item again gets the same result."""
        if item.check.id(self.gate.run.provider) not in self.gate.results:
            with network.allowed():
                self._use_fixture(request)
        result = item.result = self.gate.result(item.check)
        if result.verdict in OUTSIDE:
            pytest.skip(self.gate.told(result.reason if not result.fix else f"{result.reason}. {result.fix}"))
        if result.verdict is Verdict.FAIL and (why := self.gate.excuse(result)):
            pytest.xfail(why)
        if result.verdict is not Verdict.PASS:
            raise CheckEnded(result)

    def _use_fixture(self, request: pytest.FixtureRequest) -> None:
        """Read the effects through the user's fixture, if there is one."""
        try:
            read = request.getfixturevalue(FIXTURE)
        except Exception as error:  # noqa: BLE001 - The user's own code: whatever it raises is a reason.
            self.gate.no_effects(f"the fixture {FIXTURE} failed: {error!r}", "Mend it in your conftest.py")
            return
        if read is None:
            return
        if not callable(read):
            self.gate.no_effects(
                f"the fixture {FIXTURE} gives {type(read).__name__}, not a function",
                "Let it return a function that returns the list of records",
            )
            return

        def called() -> Any:
            try:
                return read()
            except Exception as error:
                raise EffectsError(
                    f"the function that the fixture {FIXTURE} returns failed: {error!r}", "Mend it in your conftest.py"
                ) from error

        self.gate.use_effects(called)


class CheckDirectory(pytest.Directory):
    """The folder of all checks, with the same node id wherever the package lies."""

    def __init__(self, *, session_of: ReceiverSession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.session_of = session_of

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield a node per family that has chosen checks."""
        for module in family_modules(explored=True):
            found = [check for check in checks_of(module) if check in self.session_of.gate.checks]
            if found:
                path = Path(str(module.__file__))
                node = f"{self.nodeid}/{path.stem}"
                yield CheckModule.from_parent(self, path=path, nodeid=node, checks=found, session_of=self.session_of)


class CheckModule(pytest.Module):
    """A family of checks."""

    def __init__(self, *, checks: list[Check], session_of: ReceiverSession, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checks = checks
        self.session_of = session_of

    def collect(self) -> Iterator[pytest.Item]:
        """Yield an item per check."""
        for check in self.checks:
            yield CheckItem.from_parent(self, check=check, session_of=self.session_of)

    def _getobj(self) -> Any:
        return next(module for module in family_modules(explored=True) if Path(str(module.__file__)) == self.path)


class CheckItem(pytest.Function):
    """One check."""

    def __init__(self, *, check: Check, session_of: ReceiverSession, **kwargs: Any) -> None:
        def perform(request: pytest.FixtureRequest) -> None:
            session_of.perform(self, request)

        kwargs.pop("name", None)
        super().__init__(name=check.function.__name__, callobj=perform, **kwargs)
        self.check = check
        self.session_of = session_of
        self.settings = session_of.gate.run.settings
        self.result: Result | None = None

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Return the block of a failed check instead of a traceback."""
        if isinstance(excinfo.value, CheckEnded):
            return self.session_of.gate.block(excinfo.value.result)
        return super().repr_failure(excinfo, *args, **kwargs)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the place of the check function and its id."""
        return self.path, self.check.function.__code__.co_firstlineno - 1, self.check.id(self.settings.provider)
