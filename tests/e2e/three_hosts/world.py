"""The walkthrough's five machines: a database server, a shell, and three hosts with ssh and disks.

Each host has its own /data; /mnt/transport, on the first and the third, is the disk that is
carried between them. No two machines are in the same time zone.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e.three_hosts.machine import Entered, Machine
from e2e.three_hosts.network import Network
from e2e.three_hosts.server import DATABASE, RemoteMariaDB
from e2e.three_hosts.ssh import Keys, end_sessions, serve
from servers import Unavailable

CHECKOUT = Path(__file__).parents[3]

HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")

ADDRESSES = {
    "alpendb": "10.77.0.2",
    "alpenshell": "10.77.0.3",
    "alpenhost1": "10.77.0.11",
    "alpenhost2": "10.77.0.12",
    "alpenhost3": "10.77.0.13",
}

# In POSIX notation, where west is positive (environ(7), tzset(3)).
ZONES = {
    "alpendb": "IST-5:30",
    "alpenshell": "UTC0",
    "alpenhost1": "JST-9",
    "alpenhost2": "PST8",
    "alpenhost3": "NZDT-13",
}

CONFIGURATION = """\
database:
    url: mysql://root@alpendb/alpenhorn_db
daemon:
    update_interval: 10
    auto_import_interval: 10
    num_workers: 2
extensions:
    - pattern_importer
logging:
    level: INFO
"""
"""The configuration file of the walkthrough (spec: config.md §7)."""

_PROGRAMS = ("ip", "tc", "unshare", "nsenter", "pivot_root", "ssh", "ssh-keygen", "rsync")


class World:
    """All machines, switched on; `close` leaves nothing of them.

    Args:
        home: an empty directory for disks, keys and logs.
        configuration: what is in /etc/alpenhorn/alpenhorn.conf everywhere.

    Raises:
        Unavailable: one line that says what is missing here.
    """

    def __init__(self, home: Path, configuration: str = CONFIGURATION) -> None:
        _require_programs()
        self.home = home
        self.transport = home / "transport"
        self.server = RemoteMariaDB()
        self._configuration = configuration
        self._sshd: dict[str, Entered] = {}
        self._machines = {name: self._make(name) for name in ADDRESSES}
        self.server.machine = self._machines["alpendb"]
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.server.directory, ignore_errors=True)
            self._network = Network(home / "switch")
            stack.callback(self._network.close)
            self._keys = Keys(home / "keys", ADDRESSES)
            for name, machine in self._machines.items():
                stack.callback(machine.kill)
                self.boot(name)
            self.server.start()
            stack.callback(self.server.stop)
            self.server.admit_root()
            self.server.new_database(DATABASE)
            self._stack = stack.pop_all()

    def close(self) -> None:
        """End everything."""
        self._stack.close()

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def data(self, host: str) -> Path:
        """Where the disk of a host lies."""
        return self.home / host / "data"

    def log(self, machine: str, program: str = "alpenhornd") -> Path:
        """What a program said."""
        return self.home / machine / f"{program}.log"

    # what may happen to a machine

    def boot(self, name: str) -> None:
        """Switch a machine on; on hosts, sshd runs then."""
        machine = self._machines[name]
        machine.boot()
        self._network.plug(machine, ADDRESSES[name])
        names = "".join(f"{address}\t{other}\n" for other, address in ADDRESSES.items())
        machine.write("/etc/hosts", f"127.0.0.1\tlocalhost\n{names}", 0o644)
        if name == "alpendb":
            return
        self._keys.give(machine)
        machine.write("/etc/alpenhorn/alpenhorn.conf", self._configuration, 0o644)
        example = (CHECKOUT / "examples" / "pattern_importer.py").read_text()
        machine.write("/root/python/pattern_importer.py", example)
        if name in HOSTS:
            with self.log(name, "sshd").open("ab") as log:
                self._sshd[name] = serve(machine, log)

    def kill(self, name: str) -> None:
        """Kill all processes of a machine."""
        self._machines[name].kill()
        self._network.unplug(self._machines[name])

    @contextmanager
    def cut(self, name: str) -> Iterator[None]:
        """Have a machine's cable out for a while."""
        self._network.cut(self._machines[name])
        try:
            yield
        finally:
            self._network.mend(self._machines[name])

    @contextmanager
    def keys_refused(self, name: str) -> Iterator[None]:
        """Let nobody log in for a while; who is logged in is thrown out."""
        keys = "/root/.ssh/authorized_keys"
        self._machines[name].write(keys, "")
        end_sessions(self._sshd[name])
        try:
            yield
        finally:
            self._machines[name].write(keys, self._keys.authorized)

    @contextmanager
    def without_database(self) -> Iterator[None]:
        """Have the database server stopped for a while."""
        self.server.stop()
        try:
            yield
        finally:
            self.server.start()

    @contextmanager
    def database_host_dead(self) -> Iterator[None]:
        """Have the database server's machine without power for a while: it says good-bye to nobody.

        Its cable is cut first, since the kernel closes the connections of processes that it ends.
        """
        self._network.cut(self._machines["alpendb"])
        self.kill("alpendb")
        self.server.stop()
        try:
            yield
        finally:
            self.boot("alpendb")
            self.server.start()

    def _make(self, name: str) -> Machine:
        directory = self.home / name
        programs = (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))
        disks = {str(path): path for path in programs}
        if name == "alpendb":
            disks = {str(self.server.directory): self.server.directory}
        if name in HOSTS:
            disks["/data"] = self.data(name)
        if name in ("alpenhost1", "alpenhost3"):
            disks["/mnt/transport"] = self.transport
        for disk in disks.values():
            disk.mkdir(parents=True, exist_ok=True)
        return Machine(name, directory / "stage", disks, _environment(name))


def _environment(machine: str) -> dict[str, str]:
    system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {
        "PATH": f"{Path(sys.executable).parent}:{system}",
        "HOME": "/root",
        "USER": "root",
        "LANG": "C.UTF-8",
        "TZ": ZONES[machine],
        "PYTHONPATH": "/root/python",
        "PYTHONUNBUFFERED": "1",
    }


def _require_programs() -> None:
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if not Path("/usr/sbin/sshd").exists():
        missing.append("sshd")
    if missing:
        raise Unavailable(f"the three hosts need {', '.join(missing)}; see tools/need_hosts.sh")
