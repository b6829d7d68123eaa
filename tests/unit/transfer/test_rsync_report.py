"""Whom rsync's messages blame: those of version 3.5, and of 3.1, which names no side."""

from __future__ import annotations

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.rsync_report import read_report

ROUTE, SOURCE = FailureClass.ROUTE, FailureClass.SOURCE
DESTINATION, INTERRUPTED = FailureClass.DESTINATION, FailureClass.INTERRUPTED


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ('rsync: [sender] link_stat "/d/f" failed: No such file or directory (2)', SOURCE),
        ('rsync: link_stat "/d/f" failed: No such file or directory (2)', SOURCE),
        ('file has vanished: "/d/f"', SOURCE),
        ('skipping non-regular file "/d/f"', SOURCE),
        ('rsync: [sender] link_stat "/d/f" failed: Permission denied (13)', ROUTE),
        ('rsync: [sender] link_stat "/d/f" failed: Too many levels of symbolic links (40)', ROUTE),
        ('rsync: [sender] send_files failed to open "/d/f": Permission denied (13)', ROUTE),
        ('rsync: send_files failed to open "/d/f": Permission denied (13)', ROUTE),
        ('rsync: read errors mapping "/d/f": Input/output error (5)', ROUTE),
        ('rsync: [receiver] open "/d/f" failed: Permission denied (13)', DESTINATION),
        ('rsync: open "/d/f" failed: Permission denied (13)', DESTINATION),
        ('rsync: mkstemp "/d/f" failed: Permission denied (13)', DESTINATION),
        ('rsync: recv_generator: mkdir "/d/f" failed: Read-only file system (30)', DESTINATION),
        ('rsync: write failed on "/d/f": No space left on device (28)', DESTINATION),
        ('rsync: [receiver] write failed on "/d/f": Disk quota exceeded (122)', DESTINATION),
        ('something nobody has ever seen about "/d/f"', ROUTE),
    ],
)
def test_a_message_about_a_file(line: str, failure: FailureClass) -> None:
    complaint = read_report(23, f"{line}\nrsync error: some files (code 23)", None).about("/d/f")
    assert complaint is not None
    assert complaint.failure is failure


@pytest.mark.parametrize("status", [1, 2, 5, 10, 12, 14, 30, 35, 125, 127, 255])
def test_an_exit_status_without_a_known_message_is_the_routes_fault(status: int) -> None:
    text = "\nrsync: connection unexpectedly closed (0 bytes received so far) [Receiver]\n"
    assert read_report(status, text, None).overall.failure is ROUTE


@pytest.mark.parametrize("status", [-15, -9, 19, 20])
def test_a_signal_interrupts(status: int) -> None:
    assert read_report(status, "", None).overall.failure is INTERRUPTED


def test_the_time_limit_is_the_routes_fault() -> None:
    overall = read_report(None, "", 90.0).overall
    assert (overall.failure, overall.message) == (ROUTE, "stopped after the time limit of 90 s")


@pytest.mark.parametrize(
    "line",
    [
        "ssh: connect to host far port 22: Connection refused",
        "user@far: Permission denied (publickey).",
        "Host key verification failed.",
        "rsync: [Receiver] write error: Broken pipe (32)",
        "rsync: [generator] write error: Connection reset by peer (104)",
        "rsync: [Receiver] Failed to exec ssh: No such file or directory (2)",
        "rsync error: timeout in data send/receive (code 30) at io.c(200) [receiver=3.5.0]",
        "user@far: cannot create /tmp/x: No space left on device",
        "[Receiver] io timeout after 600 seconds -- exiting",
    ],
)
def test_a_lost_connection_never_blames_the_disk_here(line: str) -> None:
    overall = read_report(255, line, None).overall
    assert overall.failure is ROUTE
    assert line.split("] ")[-1].removeprefix("rsync: ") in overall.message


def test_a_full_disk_explains_the_files_that_were_not_reached() -> None:
    text = (
        'rsync: [receiver] write failed on "/st/a": No space left on device (28)\n'
        "rsync error: error in file IO (code 11) at receiver.c(380) [receiver=3.2.7]\n"
    )
    assert read_report(11, text, None).overall.failure is DESTINATION


def test_names_are_read_back_as_they_are_on_disk() -> None:
    text = 'rsync: [sender] link_stat "/d/a\\#012b\\#134#012\\#377" failed: No such file or dir (2)'
    assert read_report(23, text, None).about("/d/a\nb\\#012\udcff") is not None


def test_a_file_name_cannot_pass_for_a_message() -> None:
    """Words inside the quoted name are not what rsync says."""
    text = 'rsync: [sender] send_files failed to open "/d/has vanished No space": Denied (13)'
    complaint = read_report(23, text, None).about("/d/has vanished No space")
    assert complaint is not None
    assert complaint.failure is ROUTE


def test_bytes_that_failed_verification_are_bad_even_at_full_length() -> None:
    text = "ERROR: acq/file failed verification -- update retained."
    complaint = read_report(23, text, None).about("/src/acq/file", "acq/file")
    assert complaint is not None
    assert complaint.spoils_bytes
    assert complaint.failure is ROUTE


def test_an_owner_that_cannot_be_set_is_no_failure() -> None:
    text = 'rsync: [receiver] chown "/st/f" failed: Operation not permitted (1)'
    report = read_report(23, text, None)
    assert report.about("/st/f") is None
    assert report.overall.failure is ROUTE


def test_messages_are_one_short_printable_line() -> None:
    overall = read_report(12, "\x1b[31mrsync: " + "x" * 500, None).overall
    assert overall.message.isprintable()
    assert len(overall.message) < 250


def test_a_full_disk_here_is_not_taken_for_a_broken_connection() -> None:
    """Each side's rsync complains when the other one ends."""
    text = (
        'rsync: [receiver] write failed on "/x": No space left on device (28)\n'
        "rsync: connection unexpectedly closed (40 bytes received so far) [generator]"
    )
    assert read_report(12, text, None, "me@far").overall.failure is FailureClass.DESTINATION


def test_a_host_that_cannot_be_used_is_named() -> None:
    text = "rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]"
    overall = read_report(12, text, None, "me@far").overall
    assert overall.failure is FailureClass.ROUTE
    assert overall.message.startswith("the connection to far broke off")
