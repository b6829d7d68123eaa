"""Names, paths and addresses from outside are hostile until they passed these rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpenhorn.common.names import (
    ACQ_NAME_LIMIT,
    invalid_import_path,
    safe_address,
    vet_path,
)
from alpenhorn.errors import InvalidName


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty path"),
        (".", "invalid path"),
        ("..", "invalid path"),
        ("/", "invalid start"),
        ("/a", "invalid start"),
        ("./a", "invalid start"),
        ("../a", "invalid start"),
        ("a/", "invalid end"),
        ("a/.", "invalid end"),
        ("a/..", "invalid end"),
        ("a//b", "repeated /"),
        ("a/./b", 'invalid path element "."'),
        ("a/../b", 'invalid path element ".."'),
        ("a/.../b", None),
        (".hidden/x", None),
        ("a.b", None),
        ("..a", None),
        ("a b", None),
    ],
)
def test_reasons_of_the_specification(name, reason):
    assert invalid_import_path(name) == reason


@given(st.text(alphabet="./ab", max_size=12))
def test_a_vetted_path_stays_below_the_root(name):
    """No component of an accepted path is empty, '.' or '..'."""
    if invalid_import_path(name) is None:
        assert not {"", ".", ".."} & set(name.split("/"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("/etc/passwd", "invalid start"),
        ("a/../../b", r'invalid path element "\.\."'),
        ("a\0b", "control character"),
        ("a\nb", "control character"),
        ("a\x1b[2Jb", "control character"),
        ("a\x7f", "control character"),
        ("a\x85b", "control character"),
        ("a\u2028b", "control character"),
        ("a\udcffb", "not valid UTF-8"),
        ("a" * 65, "65 characters, limit is 64"),
    ],
)
def test_hostile_names_are_refused_in_one_printable_line(name, reason):
    with pytest.raises(InvalidName, match=reason) as caught:
        vet_path(name, ACQ_NAME_LIMIT)
    assert caught.value.message.startswith("invalid name ")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", ["2025/02/21", "é" * 64, "-rf", "a b", "a'b$(x)", "日本"])
def test_good_names_pass(name):
    assert vet_path(name, ACQ_NAME_LIMIT) is None


@pytest.mark.parametrize(
    ("user", "host"),
    [
        ("alpenhorn", "alpenhost1"),
        ("a.b-c_d", "host.site.example"),
        ("_svc", "10.0.0.1"),
        ("root", "[::1]"),
        ("root", "[fe80::1%eth0]"),
    ],
)
def test_good_addresses(user, host):
    assert safe_address(user, host) == f"{user}@{host}"


HOSTILE = ["-oProxyCommand=x", "a b", "a\tb", "a\nb", "a'b", 'a"b', "a;b", "a$b", "a`b", "a|b"]
HOSTILE += ["a&b", "a\\b", "a>b", "a*b", "a@b", "a:b", "a/b", "a\0b", "", None]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_user_names_and_addresses_are_refused(text):
    with pytest.raises(InvalidName, match="user name"):
        safe_address(text, "host")
    with pytest.raises(InvalidName, match="address"):
        safe_address("user", text)


@pytest.mark.parametrize("host", ["::1", "[::1", "::1]", "[host]", "[::1]x", "[-::1]", "[]"])
def test_ipv6_addresses_need_their_brackets(host):
    with pytest.raises(InvalidName, match="in brackets"):
        safe_address("user", host)
