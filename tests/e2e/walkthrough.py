"""The walkthrough of the seed, played once by three real daemons, step by step.

`play` performs what a user does, waits for the facts that the seed shows, and cuts the logs into
the blocks E1 to E29 of daemon.md §19.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.hosts import Host, Log, Site

HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")


class Walk:
    """A site on which the walkthrough is played, and the blocks of log that it leaves."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.blocks: dict[str, dict[str, Log]] = {}
        self.transport = site.path / "transport"
        self.transport.mkdir()

    @contextmanager
    def block(self, name: str) -> Iterator[dict[str, int]]:
        """Keep what all hosts write while the body runs; gives the lengths of the logs before."""
        before = {host: len(self.site.log(host)) for host in HOSTS}
        yield before
        self.blocks[name] = {
            host: Log(self.site.log(host)[length:]) for host, length in before.items()
        }

    def host(self, number: int) -> Host:
        return self.site[HOSTS[number - 1]]

    def root(self, number: int) -> Path:
        return self.host(number).root

    def write(self, path: str, text: str) -> Path:
        """Write a file on the first node, as an instrument does."""
        target = self.root(1) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text + "\n")
        return target

    def quiet(self, host: str, length: int) -> None:
        """Wait until a pass ends with nothing left to do, behind the first lines of a log."""
        line = "Tasks: 0 queued, 0 deferred, 0 in-progress on 2 workers"
        self.site.wait_log(host, line, length)

    # the steps

    def play(self) -> None:
        self.first_daemon()
        self.first_node()
        self.auto_import()
        self.manual_import()
        self.second_daemon()
        self.sync()
        self.corruption()
        self.refused_deletion()
        self.third_daemon()
        self.deletion()
        self.auto_actions()
        self.transport_disk()

    def first_daemon(self) -> None:
        site = self.site
        site.init()
        with self.block("E01"):
            site.start("alpenhost1")
            with self.block("E02"):
                line = "No active nodes on host (alpenhost1)!"
                site.do("group", "create", "demo_storage1")
                words = ("--group=demo_storage1", "--auto-import", "--host=alpenhost1")
                site.do("node", "create", "demo_storage1", *words, f"--root={self.root(1)}")
                site.wait(lambda: site.log("alpenhost1").count(line) >= 2)
                self.ended("alpenhost1")

    def first_node(self) -> None:
        site = self.site
        with self.block("E03") as before:
            site.do("node", "activate", "demo_storage1")
            text = 'Ignoring node "demo_storage1": not initialised.'
            site.wait_log("alpenhost1", text, before["alpenhost1"])
            self.quiet("alpenhost1", before["alpenhost1"])
        with self.block("E04-E06") as before:
            site.do("node", "init", "demo_storage1")
            text = "Finished task: Tidy up demo_storage1"
            site.wait_log("alpenhost1", text, before["alpenhost1"])
            self.quiet("alpenhost1", len(site.log("alpenhost1")))

    def auto_import(self) -> None:
        site = self.site
        name = "2025/02/21/meta.txt"
        with self.block("E07"):
            lock = self.write("2025/02/21/.meta.txt.lock", "")
            self.write(name, "This is the first acquisition in the alpenhorn demo")
            site.wait_log("alpenhost1", f"Finished task: Import {name} on demo_storage1")
        with self.block("E08"):
            lock.unlink()
            site.wait(lambda: site.states("demo_storage1").get(name) == "YY")
            self.ended("alpenhost1")
        name = "2025/02/21/23/1324.dat"
        with self.block("E09"):
            temporary = self.write(name + ".temp", "0 1 2 3 4 5")
            site.wait_log("alpenhost1", f"Finished task: Import {name}.temp on demo_storage1")
        with self.block("E10"):
            temporary.rename(temporary.with_suffix(""))
            site.wait(lambda: site.states("demo_storage1").get(name) == "YY")
            self.ended("alpenhost1")

    def manual_import(self) -> None:
        site = self.site
        site.do("node", "modify", "demo_storage1", "--no-auto-import")
        self.pass_by("alpenhost1")
        self.write("2025/02/21/23/1330.dat", "0 1 2 3 4 5")
        self.write("2025/02/21/23/1342.dat", "3 4 5 6 7 8")
        self.write("2025/02/21/23/1349.dat", "9 10 11 12 13")
        with self.block("E11"):
            name = "2025/02/21/23/1330.dat"
            site.do("file", "import", "--register-new", name, "demo_storage1")
            site.wait(lambda: site.states("demo_storage1").get(name) == "YY")
            self.ended("alpenhost1")
        with self.block("E12"):
            site.do("node", "scan", "demo_storage1", "--register-new", "2025/02/21")
            site.wait(lambda: len(site.states("demo_storage1")) == 5)
            self.ended("alpenhost1")

    def second_daemon(self) -> None:
        site = self.site
        words = ("--create-group", f"--root={self.root(2)}", "--host=alpenhost2")
        site.do("node", "create", "demo_storage2", *words)
        site.do("node", "init", "demo_storage2")
        site.do("node", "modify", "demo_storage1", "--username", "root", "--address", "alpenhost1")
        log_in = ("--username", "root", "--address", "alpenhost2")
        site.do("node", "activate", "demo_storage2", *log_in)
        with self.block("E13"):
            site.start("alpenhost2")
            site.wait_log("alpenhost2", "Finished task: Tidy up demo_storage2")
            self.ended("alpenhost2")

    def sync(self) -> None:
        site = self.site
        with self.block("E14-E15"):
            words = ("--from", "demo_storage1", "--to", "demo_storage2")
            site.do("file", "sync", *words, "2025/02/21/meta.txt")
            site.wait(lambda: site.states("demo_storage2") == {"2025/02/21/meta.txt": "YY"})
            self.ended("alpenhost2")
        with self.block("E16"):
            site.do("node", "sync", "demo_storage1", "demo_storage2", "--show-files", stdin="y\n")
            site.wait(lambda: list(site.states("demo_storage2").values()) == ["YY"] * 5)
            self.ended("alpenhost2")

    def corruption(self) -> None:
        site = self.site
        name = "2025/02/21/23/1324.dat"
        self.write(name, "bad data")
        with self.block("E17"):
            words = ("--all", "--acq=2025/02/21", "demo_storage1")
            site.do("node", "verify", *words, stdin="y\n")
            site.wait(lambda: sorted(site.states("demo_storage1").values()) == ["XY"] + ["YY"] * 4)
            self.ended("alpenhost1")
        with self.block("E18"):
            site.do("node", "sync", "demo_storage2", "demo_storage1", stdin="y\n")
            site.wait(lambda: list(site.states("demo_storage1").values()) == ["YY"] * 5)
            self.ended("alpenhost1")

    def refused_deletion(self) -> None:
        site = self.site
        refusal = "Too few archive copies ({}) to delete 2025/02/21/meta.txt on demo_storage1."
        with self.block("E19a") as before:
            words = ("--now", "--node=demo_storage1")
            site.do("file", "clean", *words, "2025/02/21/meta.txt")
            site.wait_log("alpenhost1", refusal.format(0), before["alpenhost1"])
            self.ended("alpenhost1")
        with self.block("E19b") as before:
            site.do("node", "modify", "--archive", "demo_storage2")
            site.wait_log("alpenhost1", refusal.format(1), before["alpenhost1"])
            self.ended("alpenhost1")

    def third_daemon(self) -> None:
        site = self.site
        words = ("--create-group", "--archive", f"--root={self.root(3)}", "--host=alpenhost3")
        log_in = ("--username", "root", "--address", "alpenhost3", "--init", "--activate")
        site.do("node", "create", "demo_storage3", *words, *log_in)
        site.start("alpenhost3")
        site.wait_log("alpenhost3", "Finished task: Tidy up demo_storage3")

    def deletion(self) -> None:
        site = self.site
        with self.block("E20"):
            site.do("node", "sync", "--force", "demo_storage2", "demo_storage3")
            gone = "2025/02/21/meta.txt"
            site.wait(lambda: site.states("demo_storage1").get(gone) == "NN")
            site.wait(lambda: len(site.states("demo_storage3")) == 5)
            self.ended("alpenhost1", "alpenhost3")
        with self.block("E21"):
            words = ("--now", "--target", "demo_storage3")
            site.do("node", "clean", "demo_storage1", *words, stdin="y\n")
            site.wait(lambda: set(site.states("demo_storage1").values()) == {"NN"})
            self.ended("alpenhost1")

    def auto_actions(self) -> None:
        site = self.site
        site.do("group", "autosync", "demo_storage2", "demo_storage1")
        with self.block("E22"):
            name = "2025/02/26/meta.txt"
            self.write(name, "This is the second acquisition in the alpenhorn demo")
            site.do("node", "scan", "demo_storage1", "--register-new")
            site.wait(lambda: site.states("demo_storage2").get(name) == "YY")
            self.ended("alpenhost1", "alpenhost2")
        site.do("group", "autosync", "demo_storage3", "demo_storage2")
        site.do("node", "sync", "demo_storage2", "demo_storage3", stdin="y\n")
        site.wait(lambda: site.states("demo_storage3").get(name) == "YY")
        site.do("node", "clean", "--now", "demo_storage1", "--target=demo_storage3", stdin="y\n")
        site.do("node", "autoclean", "demo_storage1", "demo_storage3")
        site.wait(lambda: set(site.states("demo_storage1").values()) == {"NN"})
        self.ended("alpenhost1")
        with self.block("E23-E26") as before:
            name = "2025/02/26/02/0011.dat"
            self.write(name, "14 15 16 17 18")
            site.do("node", "scan", "demo_storage1", "--register-new")
            site.wait(lambda: site.states("demo_storage1").get(name) == "NN")
            self.ended(*HOSTS)
            self.quiet("alpenhost2", before["alpenhost2"])

    def transport_disk(self) -> None:
        site = self.site
        site.do("group", "create", "--class=Transport", "transport_group")
        with self.block("E27"):
            words = ("--transport", "--group", "transport_group", "--host=alpenhost3")
            site.do(
                *("node", "create", "transport1", *words),
                *(f"--root={self.transport}", "--init", "--activate"),
            )
            site.wait_log("alpenhost3", "Finished task: Tidy up transport1")
        words = ("demo_storage3", "transport_group", "--target=demo_storage1")
        site.do("node", "sync", *words, stdin="y\n")
        site.wait(lambda: list(site.states("transport1").values()) == ["YY"] * 7)
        self.ended("alpenhost3")
        with self.block("E28"):
            site.do("node", "deactivate", "transport1")
            site.wait_log("alpenhost3", 'Group "transport_group" no longer available.')
        with self.block("E29"):
            site.do(
                *("node", "activate", "transport1", "--host=alpenhost1", "--username=root"),
                *("--address=alpenhost1", f"--root={self.transport}"),
            )
            site.wait_log("alpenhost1", 'Group "transport_group" now available.')
        site.do("node", "sync", "transport1", "demo_storage1", stdin="y\n")
        site.wait(lambda: list(site.states("demo_storage1").values()).count("YY") == 7)

    # waiting for the log to catch up with the index

    def ended(self, *hosts: str) -> None:
        """Wait until every task that these hosts began, and the pass they are in, has ended."""

        def at_rest(host: str) -> bool:
            log = self.site.log(host)
            texts = [line.text for line in log]
            begun = sum(text.startswith("Beginning task ") for text in texts)
            ended = sum(text.startswith("Finished task: ") for text in texts)
            main = log.of("MainThread")
            return begun == ended and main[-1].text.startswith("Tasks: 0 queued")

        for host in hosts:
            self.site.wait(lambda host=host: at_rest(host), what=f"the tasks of {host}")

    def pass_by(self, host: str) -> None:
        """Wait for the end of a pass that begins after now."""
        length = len(self.site.log(host))
        self.site[host].send(signal.SIGHUP)
        self.quiet(host, length)
