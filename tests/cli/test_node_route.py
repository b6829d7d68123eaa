"""``node create`` and ``node modify``: what the I/O config says about the way to a node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn.db import StorageNode

BAD = [
    ("ssh_port=x", "invalid ssh_port in the I/O config: 'x' is no port: use a number from 1 to"),
    ("ssh_port=0", "invalid ssh_port in the I/O config: 0 is no port"),
    ("ssh_identity=-oProxyCommand=x", "invalid ssh_identity in the I/O config"),
    ("rsync_path=rsync; touch owned", "invalid rsync_path in the I/O config"),
    ("compress=perhaps", "invalid compress in the I/O config: 'perhaps' is neither yes nor no"),
    (
        "bandwidth=Mon-Fry 20M",
        'invalid bandwidth in the I/O config: "Mon-Fry 20M": "Fry" is no day',
    ),
]


@pytest.mark.parametrize(("variable", "said"), BAD)
def test_a_bad_value_is_refused_before_it_is_stored(
    make: Any, run: Any, dump: Any, variable: str, said: str
) -> None:
    make.node("n")
    before = dump()
    for words in (("create", "other", "--create-group"), ("modify", "n")):
        result = run("node", *words, f"--io-var={variable}")
        assert result.code == 1
        assert result.stderr.startswith(f"Error: {said}")
        assert len(result.stderr.splitlines()) == 1
    key, _, value = variable.partition("=")
    assert run("node", "modify", "n", "--io-config", json.dumps({key: value})).code == 1
    assert dump() == before


def test_good_values_are_stored_as_they_were_written(make: Any, run: Any) -> None:
    make.node("n")
    words = ["ssh_port=2222", "compress=yes", "bandwidth=Mon-Fri 08:00-18:00 20M; Sat 50M"]
    assert run("node", "modify", "n", *[f"--io-var={word}" for word in words]).code == 0
    assert json.loads(StorageNode.get(name="n").io_config) == {
        "ssh_port": 2222,
        "compress": "yes",
        "bandwidth": "Mon-Fri 08:00-18:00 20M; Sat 50M",
    }


def test_other_classes_and_other_keys_are_left_alone(make: Any, run: Any) -> None:
    """A class that is not known here may mean something else by the same words."""
    make.node("n", io_class="NotKnownHere")
    assert run("node", "modify", "n", "--io-var=bandwidth=plenty").code == 0
    result = run("node", "modify", "n", "--class=Polling")
    assert (result.code, "invalid bandwidth" in result.stderr) == (1, True)
    assert run("node", "modify", "n", "--class=Polling", "--io-var=bandwidth=").code == 0
    assert run("node", "modify", "n", "--io-var=colour=red").code == 0


def test_a_bad_value_in_the_index_does_not_hinder_other_changes(make: Any, run: Any) -> None:
    make.node("n", io_config='{"ssh_port": "bad"}')
    assert run("node", "modify", "n", "--notes=broken").code == 0
    assert run("node", "modify", "n", "--io-var=ssh_port=22").code == 0
