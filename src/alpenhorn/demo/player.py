"""Plays the script: types, shows, waits for what should come of it, and compares."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable, Sequence

from alpenhorn.demo import facts
from alpenhorn.demo.daemon_log import DaemonLog
from alpenhorn.demo.daemons import Daemons
from alpenhorn.demo.narrator import Narrator
from alpenhorn.demo.problems import Unexpected
from alpenhorn.demo.shell import HOSTS
from alpenhorn.demo.site import Site
from alpenhorn.demo.steps import Action, Expectation, Holds, InShell, Logs, OnHost, Section, Step
from alpenhorn.demo.templates import fill, matches, tidy

PATIENCE_S = 60.0
"""How long a command, or what should come of it, may take."""

_LOOK_EVERY_S = 0.05

_PROMPT = "[y/N]: "


class Player:
    """Plays steps at a site.

    Args:
        site: where; its index need not exist yet.
        daemons: to be started by the script.
        narrator: tells the story.
        patience: seconds that anything may take.
    """

    def __init__(
        self, site: Site, daemons: Daemons, narrator: Narrator, patience: float = PATIENCE_S
    ) -> None:
        self._site = site
        self._daemons = daemons
        self._narrator = narrator
        self._patience = patience
        self._logs = {host: DaemonLog(site.log(host)) for host in HOSTS}
        self.played = 0
        self.step_title = ""

    def play(self, sections: Iterable[Section]) -> None:
        """Play all sections, to the first thing that does not come out.

        Raises:
            Unexpected: in the step `step_title`.
        """
        facts.open_index(self._site)
        for section in sections:
            self._narrator.section(section.title)
            for step in section.steps:
                self.step_title = step.title
                self._play(step)
                self.played += 1

    def moved(self) -> tuple[int, int]:
        """Return how many files were transferred between nodes, and their bytes."""
        lengths = [facts.length(path) for log in self._logs.values() for path in log.pulled()]
        return len(lengths), sum(lengths)

    def _play(self, step: Step) -> None:
        self._narrator.step(step.title, step.why)
        for log in self._logs.values():
            log.mark()
        for action in step.actions:
            self._do(action)
        for expectation in step.expectations:
            self._await(expectation)

    def _do(self, action: Action) -> None:
        if isinstance(action, InShell):
            self._type(action)
        elif isinstance(action, OnHost):
            self._type_on_host(action)
        else:
            self._narrator.typed(action.host, self._site.daemon_line(action.host))
            self._daemons.start(action.host)

    def _type(self, action: InShell) -> None:
        line = fill(action.line, self._site.places)
        self._narrator.typed("alpenshell", line)
        printed = self._run(self._site.in_shell(line), action.answer)
        self._compare(action.prints, printed)

    def _type_on_host(self, action: OnHost) -> None:
        line = fill(action.line, self._site.places)
        self._narrator.typed(action.host, line)
        self._compare(action.prints, self._run(self._site.on_host(action.host, line)))

    def _run(self, command: Sequence[str], answer: str = "") -> str:
        """Run a program; return what a terminal would show of it."""
        try:
            done = subprocess.run(
                command,
                input=f"{answer}\n" if answer else "",
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self._patience,
                env=self._site.environment(),
                encoding="utf-8",
                errors="replace",
            )
        except subprocess.TimeoutExpired:
            raise Unexpected(f"an end within {self._patience:.0f} s", "none") from None
        # A terminal echoes what is typed; a pipe does not.
        printed = tidy(
            done.stdout.replace(_PROMPT, f"{_PROMPT}{answer}\n") if answer else done.stdout
        )
        self._narrator.printed(printed)
        if done.returncode:
            raise Unexpected("exit status 0", f"{done.returncode}, and:\n{printed}")
        return printed

    def _compare(self, template: str, printed: str) -> None:
        if not matches(template, printed, self._site.places):
            raise Unexpected(f"this output:\n{tidy(template)}", f"this:\n{printed}")

    def _await(self, expectation: Expectation) -> None:
        until = time.monotonic() + self._patience
        with self._narrator.waiting(self._host(expectation)):
            while problem := self._problem(expectation):
                self._daemons.check()
                if time.monotonic() > until:
                    raise Unexpected(*problem)
                time.sleep(_LOOK_EVERY_S)
        if isinstance(expectation, Logs):
            shown, _ = self._logs[expectation.host].find(expectation.lines, self._site.places)
            self._narrator.logged(expectation.host, shown)
        else:
            self._narrator.checked(_held(expectation))

    def _host(self, expectation: Expectation) -> str:
        if isinstance(expectation, Logs):
            return expectation.host
        return expectation.node.replace("demo_storage", "alpenhost")

    def _problem(self, expectation: Expectation) -> tuple[str, str] | None:
        """Return what is still missing, as expected and found."""
        if isinstance(expectation, Holds):
            return facts.difference(self._site, expectation)
        log = self._logs[expectation.host]
        found, missing = log.find(expectation.lines, self._site.places)
        if not missing:
            return None
        seen = "\n".join(found) or "none of the lines"
        return f'the daemon on {expectation.host} to log "{missing}"', seen


def _held(node: Holds) -> str:
    """Describe what a node was found to hold."""
    amounts = {
        "": node.files,
        "spoiled ": node.spoiled,
        "corrupt ": node.corrupt,
        "unregistered ": node.unknown,
    }
    parts = [
        f"{len(files)} {kind}{'file' if len(files) == 1 else 'files'}"
        for kind, files in amounts.items()
        if files
    ]
    return (
        f"{node.node} holds {' and '.join(parts) or 'no files'}, in the Data Index and on its disk"
    )
