"""The containers of the walkthrough: five, named, mounted and configured as it says.

No container engine is needed: the files are read as the engine would read them.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from alpenhorn.common import config

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
HOSTS = ("alpenhost1", "alpenhost2", "alpenhost3")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((DEMO / "docker-compose.yaml").read_text())


def instructions(word: str) -> list[str]:
    """The arguments of each instruction of the Dockerfile with this name."""
    lines = (DEMO / "Dockerfile.alpenhorn").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    found = re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    return [arguments for name, arguments in found if name == word]


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """What lies at each path."""
    return {path: volume for volume, path in (m.split(":") for m in service.get("volumes", []))}


def test_the_directory_holds_what_the_walkthrough_lists() -> None:
    names = {path.name for path in DEMO.iterdir()}
    assert names == {"Dockerfile.alpenhorn", "alpenhorn.conf", "docker-compose.yaml"}
    assert not [path for path in DEMO.iterdir() if "PRIVATE KEY" in path.read_text()]


def test_there_are_five_machines_with_their_own_names(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert list(services) == ["alpendb", "alpenshell", *HOSTS]
    for name in ("alpenshell", *HOSTS):
        assert services[name]["hostname"] == name
        assert services[name]["image"] == "alpenhorn"
        assert services[name]["depends_on"] == {"alpendb": {"condition": "service_healthy"}}
    assert services["alpendb"]["image"] == "mysql:latest"
    assert services["alpenshell"]["tty"]
    assert services["alpenshell"]["stdin_open"]


def test_each_host_has_its_data_and_the_disk_travels_from_3_to_1(compose: dict[str, Any]) -> None:
    at = {name: mounts(compose["services"][name]) for name in HOSTS}
    data = [at[host]["/data"] for host in HOSTS]
    assert len(set(data)) == 3
    assert at["alpenhost3"]["/mnt/transport"] == at["alpenhost1"]["/mnt/transport"]
    assert "/mnt/transport" not in at["alpenhost2"]
    assert mounts(compose["services"]["alpendb"]) == {"/var/lib/mysql": "db_vol"}
    used = {"db_vol", *data, at["alpenhost1"]["/mnt/transport"]}
    assert set(compose["volumes"]) == used


def test_server_and_hosts_say_whether_they_are_well(compose: dict[str, Any]) -> None:
    for name in ("alpendb", *HOSTS):
        assert compose["services"][name]["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


def test_the_daemon_gets_the_signal_that_stops_the_container(compose: dict[str, Any]) -> None:
    for host in HOSTS:
        shell, option, line = compose["services"][host]["command"]
        assert (shell, option) == ("sh", "-c")
        assert line.endswith("exec alpenhornd")


def test_the_configuration_is_that_of_the_walkthrough(
    caplog: pytest.LogCaptureFixture, compose: dict[str, Any]
) -> None:
    """Two workers, ten seconds; and the database that the server is told to make."""
    config.load_config(str(DEMO / "alpenhorn.conf"), cli=False)
    config.check_daemon_config()
    config.warn_unknown_keys()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert config.value("daemon.num_workers") == 2
    assert config.value("daemon.update_interval") == 10
    assert config.value("daemon.auto_import_interval") == 10
    assert config.value("extensions") == ["pattern_importer"]
    server = compose["services"]["alpendb"]["environment"]
    assert config.value("database.url") == f"mysql://root@alpendb/{server['MYSQL_DATABASE']}"
    assert server["MYSQL_ALLOW_EMPTY_PASSWORD"] == "yes"


def test_the_image_is_made_from_what_is_in_the_repository(compose: dict[str, Any]) -> None:
    build = compose["services"]["alpenhost1"]["build"]
    assert (DEMO / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    copied = [word for line in instructions("COPY") for word in line.split()[:-1]]
    assert {"src", "pyproject.toml", "demo/alpenhorn.conf"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert instructions("RUN")[-1].startswith("pip install")
    assert instructions("RUN")[-1].endswith("'/build[mysql]'")


def test_shell_commands_can_be_parsed(compose: dict[str, Any]) -> None:
    scripts = instructions("RUN") + [compose["services"][host]["command"][2] for host in HOSTS]
    assert len(scripts) == 6
    for script in scripts:
        done = subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True)
        assert (done.returncode, done.stderr) == (0, ""), script


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_root_logs_in_to_any_host_with_a_key_that_the_build_makes(tmp_path: Path) -> None:
    """And every host's key is known: no check is switched off."""
    (script,) = [line for line in instructions("RUN") if "ssh-keygen" in line]
    etc = tmp_path / "etc/ssh"
    etc.mkdir(parents=True)
    script = script.replace("ssh-keygen -A", f"ssh-keygen -A -f {tmp_path}")
    script = script.replace("/etc/ssh/", f"{etc}/").replace("/root/", f"{tmp_path}/root/")
    subprocess.run(["sh", "-ec", script], check=True, capture_output=True)
    home = tmp_path / "root/.ssh"
    assert (home / "authorized_keys").read_text() == (home / "id_ed25519.pub").read_text()
    assert (home / "id_ed25519").stat().st_mode & 0o777 == 0o600
    kind, key = (etc / "ssh_host_ed25519_key.pub").read_text().split()[:2]
    known = (home / "known_hosts").read_text().splitlines()
    assert known == [f"{host} {kind} {key}" for host in (*HOSTS, "localhost")]
    assert "StrictHostKeyChecking" not in script


def compose_program() -> list[str]:
    """The words that start Docker Compose; none if it is not installed."""
    if shutil.which("docker-compose"):
        return ["docker-compose"]
    if shutil.which("docker"):
        found = subprocess.run(["docker", "compose", "version"], capture_output=True)
        return [] if found.returncode else ["docker", "compose"]
    return []


@pytest.mark.slow
def test_docker_compose_takes_the_file(compose: dict[str, Any]) -> None:
    """By its own rules, which need the program but no engine."""
    program = compose_program()
    if not program:
        pytest.skip("Docker Compose is not installed")
    done = subprocess.run([*program, "config"], cwd=DEMO, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    assert set(resolved["services"]) == set(compose["services"])
    assert set(resolved["volumes"]) == set(compose["volumes"])
