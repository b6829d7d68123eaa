"""The database server of the walkthrough: MariaDB on a machine of its own, reached by TCP."""

from __future__ import annotations

import subprocess
from typing import IO

from e2e.three_hosts.machine import Machine
from servers import MariaDB

DATABASE = "alpenhorn_db"


class RemoteMariaDB(MariaDB):
    """A server whose process runs on `machine`, which is to be set before `start`.

    The tests themselves ask it through its Unix socket, which lies in `directory`: that is a disk
    of the machine.
    """

    machine: Machine

    def serve(self) -> list[str]:
        """See `MariaDB`."""
        words = [word for word in super().serve() if word != "--skip-networking"]
        user = [] if self._user is None else [f"--user={self._user.pw_name}"]
        # What is committed is safe from the end of the process, though not of this computer.
        safe = "--innodb-flush-log-at-trx-commit=2"
        return [*words, safe, "--bind-address=0.0.0.0", "--skip-name-resolve", *user]

    def launch(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """See `Server`."""
        return self.machine.start(self.serve(), log)

    def admit_root(self) -> None:
        """Let root in from everywhere without a password, as the walkthrough does."""
        with self.connection(self.admin_database) as admin:
            admin.execute_sql("CREATE USER root@'%%'")
            admin.execute_sql("GRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION")
