"""logrotate, with the file that we ship, under a daemon that logs."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.hosts import Host, Site

SHIPPED = Path(__file__).resolve().parents[2] / "packaging" / "logrotate.d" / "alpenhorn"
LOGROTATE = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def rules(host: Host, logs: Path) -> Path:
    """The file that we ship, for this user, this directory and this process."""
    assert host.process is not None
    names = f"{pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name}"
    text = SHIPPED.read_text()
    for shipped, here in (
        ("/var/log/alpenhorn/", f"{logs}/"),
        ("alpenhorn alpenhorn", names),
        ("systemctl --quiet reload alpenhornd.service", f"kill -HUP {host.process.pid}"),
    ):
        assert shipped in text
        text = text.replace(shipped, here)
    file = logs.parent / "rules"
    file.write_text(text)
    file.chmod(0o644)
    return file


@pytest.mark.skipif(not LOGROTATE, reason="logrotate is not installed")
@pytest.mark.parametrize("watch", [False, True])
def test_no_line_is_lost_when_logrotate_rotates(
    new_site: Callable[..., Site], tmp_path: Path, watch: bool
) -> None:
    """What the daemon says on standard error is, line for line, in the rotated files."""
    site = new_site("alpenhost1")
    host = site["alpenhost1"]
    logs = tmp_path / "logs"
    logs.mkdir(mode=0o750)
    file = logs / "alpenhornd.log"
    host.configure(update_interval=1)
    text = host.conf.read_text().replace(
        "  level: INFO\n", f"  level: INFO\n  file: {{name: {file}, watch: {str(watch).lower()}}}\n"
    )
    host.conf.write_text(text)
    host.start()
    command = [str(LOGROTATE), "--force", "--state", str(tmp_path / "state")]
    for _ in range(2):
        site.wait(lambda: file.exists() and "Tasks: " in file.read_text())
        subprocess.run([*command, str(rules(host, logs))], check=True, capture_output=True)
    site.wait(lambda: "Tasks: " in file.read_text())
    host.stop()
    names = ["alpenhornd.log.2.gz", "alpenhornd.log.1", "alpenhornd.log"]
    assert sorted(path.name for path in logs.iterdir()) == sorted(names)
    read = ["zcat", "-f", *(str(logs / name) for name in names)]
    kept = subprocess.run(read, check=True, capture_output=True, text=True).stdout
    assert kept == host.log_path.read_text()
    assert file.stat().st_mode & 0o777 == 0o640
