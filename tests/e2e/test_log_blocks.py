"""Each block of log lines that the seed shows, produced by real daemons (spec: daemon.md §19).

The walkthrough is played once; each test looks at its slice of the logs. Within a thread the lines
of a block follow one another with nothing in between; paths lie below the test's own directory,
times, sizes and free space are matched by patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from e2e.hosts import Expected, Log, Site
from e2e.walkthrough import HOSTS, Walk

LOOP = re.compile(r"INFO Main loop execution was \d+\.\ds\.")
TASKS = re.compile(r"INFO Tasks: \d+ queued, 0 deferred, \d+ in-progress on 2 workers")
IDLE = "INFO Tasks: 0 queued, 0 deferred, 0 in-progress on 2 workers"
SIZE = r"\d+(\.\d+)? ([kMGTPE]i)?B"


def free(node: str) -> re.Pattern[str]:
    return re.compile(rf"INFO Node {node}: {SIZE} available\.")


def pulled(path: str, size: str) -> re.Pattern[str]:
    return re.compile(
        rf"INFO Pull of {path} complete\. Transferred {size} in \d+\.\ds \[{SIZE}/s\]"
    )


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with Site(tmp_path_factory.mktemp("site"), *HOSTS, update_interval=2) as site:
        walk = Walk(site)
        walk.play()
        yield walk


def block(walk: Walk, name: str, host: int) -> Log:
    return walk.blocks[name][HOSTS[host - 1]]


def main(log: Log, *expected: Expected) -> None:
    """The main thread wrote these lines, one after the other."""
    lines = log.of("MainThread")
    assert lines.contains(*expected), f"{expected} are not in\n{lines}"


def task(log: Log, name: str, *expected: Expected) -> None:
    """A worker ran a task and wrote these lines about it, and no others."""
    lines = log.task(name)
    wanted = (f"INFO Beginning task {name}", *expected, f"INFO Finished task: {name}")
    assert len(lines) == len(wanted), lines
    assert lines.contains(*wanted), f"{wanted} are not\n{lines}"


def a_pass(node: str) -> tuple[Expected, ...]:
    return (
        free(node),
        f'INFO Updating node "{node}".',
        f'INFO Updating group "{node}".',
        LOOP,
    )


def initialised(log: Log, node: str, root: object) -> None:
    """E4: the node is initialised on request, and nobody hears of an import request."""
    unread = f'WARNING Node file "{root}/ALPENHORN_NODE" could not be read.'
    main(
        log,
        f'INFO Node "{node}" now available.',
        unread,
        f'INFO Requesting init of node "{node}".',
    )
    task(log, f'Init Node "{node}"', unread, unread, f'INFO Node "{node}" initialised.')
    assert not any("Completed import request" in line.text for line in log)


def test_E01_first_start(walk: Walk) -> None:
    log = block(walk, "E01", 1)
    main(
        log,
        "INFO Alpenhorn start.",
        f"INFO Loading config file {walk.host(1).conf}",
        "INFO Loading extension pattern_importer",
        "WARNING No active nodes on host (alpenhost1)!",
    )
    for number in (1, 2):
        assert log.of(f"Worker#{number}")[0].text == "Started."


def test_E02_no_active_nodes_is_said_in_every_pass(walk: Walk) -> None:
    said = ("WARNING No active nodes on host (alpenhost1)!", LOOP, IDLE)
    main(block(walk, "E02", 1), *said, *said)


def test_E03_active_but_not_initialised(walk: Walk) -> None:
    log = block(walk, "E03", 1)
    main(
        log,
        'INFO Node "demo_storage1" now available.',
        f'WARNING Node file "{walk.root(1)}/ALPENHORN_NODE" could not be read.',
        'WARNING Ignoring node "demo_storage1": not initialised.',
        LOOP,
        IDLE,
    )
    assert not any("Group" in line.text or "Updating" in line.text for line in log)


def test_E04_initialisation(walk: Walk) -> None:
    initialised(block(walk, "E04-E06", 1), "demo_storage1", walk.root(1))


def test_E05_first_pass_after_init(walk: Walk) -> None:
    log = block(walk, "E04-E06", 1)
    main(
        log,
        'INFO Node "demo_storage1" now available.',
        'INFO Group "demo_storage1" now available.',
        f'INFO Watching node "demo_storage1" root "{walk.root(1)}" for auto import.',
        *a_pass("demo_storage1"),
        TASKS,
    )
    task(
        log,
        "Catch-up on demo_storage1",
        'INFO Scanning "." on "demo_storage1" for new files.',
        'INFO Scanning ".".',
    )


def test_E06_tidy_up_and_the_next_pass(walk: Walk) -> None:
    log = block(walk, "E04-E06", 1)
    task(log, "Tidy up demo_storage1")
    main(log, *a_pass("demo_storage1"), IDLE)


def test_E07_a_locked_file_is_skipped(walk: Walk) -> None:
    name = "Import 2025/02/21/meta.txt on demo_storage1"
    task(block(walk, "E07", 1), name, 'INFO Skipping "2025/02/21/meta.txt": locked.')


def test_E08_removing_the_lock_imports_the_file(walk: Walk) -> None:
    task(
        block(walk, "E08", 1),
        "Import 2025/02/21/meta.txt on demo_storage1",
        'INFO Acquisition "2025/02/21" added to DB.',
        'INFO File "2025/02/21/meta.txt" added to DB.',
        'INFO Imported file copy "2025/02/21/meta.txt" on node "demo_storage1".',
    )


def test_E09_a_temporary_name_is_not_imported(walk: Walk) -> None:
    path = "2025/02/21/23/1324.dat.temp"
    line = f"INFO Not importing non-acquisition path: {path}"
    task(block(walk, "E09", 1), f"Import {path} on demo_storage1", line)


def test_E10_renaming_imports_the_file(walk: Walk) -> None:
    path = "2025/02/21/23/1324.dat"
    task(
        block(walk, "E10", 1),
        f"Import {path} on demo_storage1",
        f'INFO File "{path}" added to DB.',
        f'INFO Imported file copy "{path}" on node "demo_storage1".',
    )


def test_E11_import_on_request(walk: Walk) -> None:
    path = "2025/02/21/23/1330.dat"
    task(
        block(walk, "E11", 1),
        f"Import {path} on demo_storage1",
        f'INFO File "{path}" added to DB.',
        f'INFO Imported file copy "{path}" on node "demo_storage1".',
        "INFO Completed import request #2.",
    )


def test_E12_scan_on_request(walk: Walk) -> None:
    log = block(walk, "E12", 1)
    task(
        log,
        'Scan "2025/02/21" on demo_storage1',
        'INFO Scanning "2025/02/21" on "demo_storage1" for new files.',
        'INFO Scanning "2025/02/21".',
        'INFO Scanning "2025/02/21/23".',
        "INFO Completed import request #3.",
    )
    for path in ("2025/02/21/23/1342.dat", "2025/02/21/23/1349.dat"):
        task(
            log,
            f"Import {path} on demo_storage1",
            f'INFO File "{path}" added to DB.',
            f'INFO Imported file copy "{path}" on node "demo_storage1".',
        )


def test_E13_the_second_host(walk: Walk) -> None:
    log = block(walk, "E13", 2)
    initialised(log, "demo_storage2", walk.root(2))
    main(
        log,
        'INFO Node "demo_storage2" now available.',
        'INFO Group "demo_storage2" now available.',
        *a_pass("demo_storage2"),
        TASKS,
    )
    task(log, "Tidy up demo_storage2")
    assert not any("Watching" in line.text or "Catch-up" in line.text for line in log)


def test_E14_the_search_before_a_pull(walk: Walk) -> None:
    name = "Pre-pull search for 2025/02/21/meta.txt in demo_storage2"
    task(block(walk, "E14-E15", 2), name)


def test_E15_the_pull(walk: Walk) -> None:
    task(
        block(walk, "E14-E15", 2),
        "AFCR#1: demo_storage1 -> demo_storage2",
        f'INFO Creating directory "{walk.root(2)}/2025/02/21".',
        "INFO Pulling remote file 2025/02/21/meta.txt using rsync",
        pulled("2025/02/21/meta.txt", "52 B"),
    )


def test_E16_four_pulls_on_two_workers(walk: Walk) -> None:
    log = block(walk, "E16", 2)
    sizes = {"1324.dat": "12 B", "1330.dat": "12 B", "1342.dat": "12 B", "1349.dat": "14 B"}
    for name, size in sizes.items():
        path = f"2025/02/21/23/{name}"
        task(log, f"Pre-pull search for {path} in demo_storage2")
        assert any(pulled(path, size).fullmatch(f"{line.level} {line.text}") for line in log)
        assert log.has(f"Pulling remote file {path} using rsync")
    for number in range(2, 6):
        assert log.task(f"AFCR#{number}: demo_storage1 -> demo_storage2")
    assert log.count(f'Creating directory "{walk.root(2)}/2025/02/21/23".') == 1
    main(log, LOOP, TASKS)


def test_E17_verification(walk: Walk) -> None:
    log = block(walk, "E17", 1)
    copies = walk.site.rows(
        "SELECT copy.id, acq.name || '/' || file.name FROM archivefilecopy copy"
        " JOIN archivefile file ON copy.file_id = file.id JOIN archiveacq acq"
        " ON file.acq_id = acq.id JOIN storagenode node ON copy.node_id = node.id"
        " WHERE node.name = 'demo_storage1' AND acq.name = '2025/02/21' ORDER BY copy.id"
    )
    checking = [f'INFO Checking copy "{path}" on node demo_storage1.' for _, path in copies]
    main(log, *checking, 'INFO Updating group "demo_storage1".', LOOP, TASKS)
    assert len(copies) == 5
    for number, path in copies:
        verdict = f"INFO File {path} on node demo_storage1 is A-OK!"
        if path.endswith("1324.dat"):
            verdict = f"ERROR File {path} on node demo_storage1 is corrupt! Size: 9; expected: 12"
        update = f"INFO Updating file copy #{number} for file {path} on node demo_storage1."
        task(log, f"Check file {path} on demo_storage1", verdict, update)


def test_E18_a_corrupt_copy_is_pulled_again(walk: Walk) -> None:
    task(
        block(walk, "E18", 1),
        "AFCR#6: demo_storage2 -> demo_storage1",
        "INFO Pulling remote file 2025/02/21/23/1324.dat using rsync",
        pulled("2025/02/21/23/1324.dat", "12 B"),
    )


def test_E19_deletion_is_refused_with_the_number_of_archive_copies(walk: Walk) -> None:
    for name, number in (("E19a", 0), ("E19b", 1)):
        task(
            block(walk, name, 1),
            "Delete copies [1] from demo_storage1",
            f"WARNING Too few archive copies ({number}) to delete 2025/02/21/meta.txt"
            " on demo_storage1.",
        )
    main(block(walk, "E19a", 1), LOOP, TASKS)


def test_E20_deletion_with_two_archive_copies(walk: Walk) -> None:
    log = block(walk, "E20", 1)
    line = "INFO Removed file copy 2025/02/21/meta.txt on demo_storage1"
    task(log, "Delete copies [1] from demo_storage1", line)
    main(log, LOOP, TASKS)


def test_E21_bulk_deletion_removes_empty_directories(walk: Walk) -> None:
    root = walk.root(1)
    names = ("1324.dat", "1330.dat", "1342.dat", "1349.dat")
    lines = walk.blocks["E21"]["alpenhost1"].task("Delete copies [2, 3, 4, 5] from demo_storage1")
    removed = {f"Removed file copy 2025/02/21/23/{name} on demo_storage1" for name in names}
    assert {line.text for line in lines[1:5]} == removed
    assert [line.text for line in lines[5:-1]] == [
        f"Removed directory {root}/{path} on demo_storage1"
        for path in ("2025/02/21/23", "2025/02/21", "2025/02", "2025")
    ]


def test_E22_scan_and_auto_sync(walk: Walk) -> None:
    log = block(walk, "E22", 1)
    main(log, *a_pass("demo_storage1"), TASKS)
    task(
        log,
        'Scan "." on demo_storage1',
        'INFO Scanning "." on "demo_storage1" for new files.',
        'INFO Scanning ".".',
        'INFO Scanning "2025/02/26".',
        re.compile(r"INFO Completed import request #\d+\."),
    )
    path = "2025/02/26/meta.txt"
    task(
        log,
        f"Import {path} on demo_storage1",
        'INFO Acquisition "2025/02/26" added to DB.',
        f'INFO File "{path}" added to DB.',
        f'INFO Imported file copy "{path}" on node "demo_storage1".',
    )
    arrives(block(walk, "E22", 2), walk, 2, "demo_storage1", path, "53 B")


def arrives(log: Log, walk: Walk, number: int, source: str, path: str, size: str) -> None:
    """An auto-synced file is searched for and pulled."""
    node = f"demo_storage{number}"
    main(log, *a_pass(node), TASKS)
    task(log, f"Pre-pull search for {path} in {node}")
    names = [line.text for line in log if re.fullmatch(r"Beginning task AFCR#.*", line.text)]
    assert len(names) == 1
    name = names[0].removeprefix("Beginning task ")
    assert re.fullmatch(rf"AFCR#\d+: {source} -> {node}", name)
    task(
        log,
        name,
        f'INFO Creating directory "{(walk.root(number) / path).parent}".',
        f"INFO Pulling remote file {path} using rsync",
        pulled(path, size),
    )


LAST = "2025/02/26/02/0011.dat"


def test_E23_scan_of_the_three_step_automation(walk: Walk) -> None:
    log = block(walk, "E23-E26", 1)
    task(
        log,
        'Scan "." on demo_storage1',
        'INFO Scanning "." on "demo_storage1" for new files.',
        'INFO Scanning ".".',
        'INFO Scanning "2025/02/26/02".',
        re.compile(r"INFO Completed import request #\d+\."),
    )
    task(
        log,
        f"Import {LAST} on demo_storage1",
        f'INFO File "{LAST}" added to DB.',
        f'INFO Imported file copy "{LAST}" on node "demo_storage1".',
    )


def test_E24_first_auto_sync_and_a_quiet_pass(walk: Walk) -> None:
    log = block(walk, "E23-E26", 2)
    arrives(log, walk, 2, "demo_storage1", LAST, "15 B")
    main(log, *a_pass("demo_storage2"), IDLE)


def test_E25_second_auto_sync(walk: Walk) -> None:
    arrives(block(walk, "E23-E26", 3), walk, 3, "demo_storage2", LAST, "15 B")


def test_E26_auto_clean(walk: Walk) -> None:
    log = block(walk, "E23-E26", 1)
    number = walk.site.value(
        "SELECT copy.id FROM archivefilecopy copy JOIN archivefile file ON copy.file_id = file.id"
        " JOIN storagenode node ON copy.node_id = node.id"
        " WHERE file.name = '02/0011.dat' AND node.name = 'demo_storage1'"
    )
    directories = ("2025/02/26/02", "2025/02/26", "2025/02", "2025")
    task(
        log,
        f"Delete copies [{number}] from demo_storage1",
        f"INFO Removed file copy {LAST} on demo_storage1",
        *(f"INFO Removed directory {walk.root(1)}/{path} on demo_storage1" for path in directories),
    )
    main(log, *a_pass("demo_storage1"), TASKS)


def test_E27_transport_node_is_initialised(walk: Walk) -> None:
    initialised(block(walk, "E27", 3), "transport1", walk.transport)


def test_E28_deactivation(walk: Walk) -> None:
    main(
        block(walk, "E28", 3),
        'INFO Node "transport1" no longer available.',
        'INFO Group "transport_group" no longer available.',
    )


def test_E29_activation_on_another_host(walk: Walk) -> None:
    main(
        block(walk, "E29", 1),
        'INFO Node "transport1" now available.',
        'INFO Group "transport_group" now available.',
    )


def test_the_whole_walkthrough_leaves_nothing_undone_and_no_error(walk: Walk) -> None:
    pending = "SELECT count(*) FROM archivefilecopyrequest WHERE completed = 0 AND cancelled = 0"
    assert walk.site.value(pending) == 0
    assert walk.site.value("SELECT count(*) FROM archivefileimportrequest WHERE completed = 0") == 0
    errors = [
        line.text for host in HOSTS for line in walk.site.log(host) if line.level in ("ERROR", "")
    ]
    assert errors == [
        "File 2025/02/21/23/1324.dat on node demo_storage1 is corrupt! Size: 9; expected: 12"
    ]
