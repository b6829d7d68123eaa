"""The I/O config that options build."""

from __future__ import annotations

import json

import pytest

from alpenhorn.errors import AlpenhornError
from alpenhorn.services import io_config


@pytest.mark.parametrize(
    ("config", "variables", "stored", "result"),
    [
        (None, [], None, None),
        ("", [], None, None),
        ("{}", [], '{"a": 1}', None),
        ("", ["a=1"], '{"b": 1}', {"a": 1}),
        (None, ["a="], '{"a": 1}', None),
        (None, ["none="], '{"a": 1}', {"a": 1}),
        (None, ["a=2"], '{"a": 1, "b": 1}', {"a": 2, "b": 1}),
        (None, ["a=1"], "null", {"a": 1}),
        (None, ["a=1"], "", {"a": 1}),
        ('{"a": 1}', [], "{bad", {"a": 1}),
        ('{"a": 1}', ["a=", "b=u=v"], None, {"b": "u=v"}),
        (None, ["=x"], None, {"": "x"}),
    ],
)
def test_build(
    config: str | None, variables: list[str], stored: str | None, result: object
) -> None:
    built = io_config.build(config, variables, stored)
    assert (None if built is None else json.loads(built)) == result


@pytest.mark.parametrize("stored", [None, "", "null", "{bad", '{"a":1}', "[1]"])
def test_without_options_the_stored_text_is_not_touched(stored: str | None) -> None:
    """D3, D5."""
    assert io_config.build(None, [], stored) == stored


@pytest.mark.parametrize(
    ("config", "variables"), [('{"b":2, "a":1}', []), (None, ["a=1"]), (None, ["b=2", "c="])]
)
def test_an_equal_value_keeps_its_spelling(config: str | None, variables: list[str]) -> None:
    stored = '{"a":1,"b":2}'
    assert io_config.build(config, variables, stored) == stored


def test_true_and_one_are_different() -> None:
    assert io_config.build(None, ["a=1"], '{"a": true}') == '{"a": 1}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", 7),
        ("-7", -7),
        ("+7", 7),
        ("007", 7),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        ("nan", "nan"),
        ("-inf", "-inf"),
        ("1_000", "1_000"),
        (" 1", " 1"),
        ("١", "١"),
        ("0x10", "0x10"),
        ("true", "true"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_what_reads_as_a_number(text: str, value: object) -> None:
    built = io_config.build(None, [f"v={text}"])
    assert built is not None
    assert json.loads(built) == {"v": value}
    assert type(json.loads(built)["v"]) is type(value)


@pytest.mark.parametrize(
    ("config", "variables", "stored", "phrase"),
    [
        ("{", [], None, "invalid --io-config: not valid JSON"),
        ("[]", [], None, "invalid --io-config: not a JSON object"),
        ("null", [], None, "invalid --io-config: not a JSON object"),
        ("1", [], None, "not a JSON object"),
        ("[" * 100_000, [], None, "not valid JSON"),
        (None, ["a"], None, "VAR=VALUE"),
        (None, ["a=1"], "{bad", "invalid I/O config in the database"),
        (None, ["a=1"], "[1]", "invalid I/O config in the database"),
    ],
)
def test_errors(config: str | None, variables: list[str], stored: str | None, phrase: str) -> None:
    with pytest.raises(AlpenhornError, match=phrase.replace("(", r"\(")):
        io_config.build(config, variables, stored)
