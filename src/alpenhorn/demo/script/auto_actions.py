"""Files travel by themselves: to the first archive, to the second, and off the first node."""

from alpenhorn.demo.script.files import ACQ_1, ALL, DATA_2, DATA_3, META_2
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, Section, Step, block

_SCAN = InShell(
    "alpenhorn node scan demo_storage1 --register-new",
    'Added request for scan of "." on Node "demo_storage1".',
)


def _imported(path: str) -> Logs:
    return Logs(
        "alpenhost1",
        (
            'Scanning "." on "demo_storage1" for new files.',
            f'File "{path}" added to DB.',
            f'Imported file copy "{path}" on node "demo_storage1".',
        ),
    )


def _pulled(number: int, path: str) -> Logs:
    return Logs(
        f"alpenhost{number}",
        (
            f"Pulling remote file {path} using rsync",
            f"Pull of {path} complete. Transferred {{size}} in {{duration}} [{{size}}/s]",
        ),
    )


_FIRST = Section(
    "The first auto-sync",
    (
        Step(
            "Connect the first node to an archive",
            "Whatever is added to demo_storage1 from now on shall be copied to demo_storage2.",
            (
                InShell(
                    "alpenhorn group autosync demo_storage2 demo_storage1",
                    'Auto-sync from "demo_storage1" started',
                ),
                InShell(
                    "alpenhorn group show demo_storage2 --actions",
                    block("""
                        Storage Group: demo_storage2
                                Notes:
                            I/O Class: Default

                        I/O Config:

                          none

                        Nodes:

                          demo_storage2

                        Auto-actions:

                        Node           Action     Trigger
                        -------------  ---------  -----------------------
                        demo_storage1  Auto-sync  File added to that node
                    """),
                ),
            ),
        ),
        Step(
            "Begin a second acquisition",
            "A new file, and a scan, since automatic import is off. The transfer follows by "
            "itself.",
            (
                OnHost("alpenhost1", "mkdir -p {data1}/2025/02/26"),
                OnHost(
                    "alpenhost1",
                    'echo "This is the second acquisition in the alpenhorn demo" '
                    f"> {{data1}}/{META_2}",
                ),
                _SCAN,
            ),
            (
                _imported(META_2),
                _pulled(2, META_2),
                Holds("demo_storage1", (META_2,)),
                Holds("demo_storage2", (*ACQ_1, META_2)),
            ),
        ),
    ),
)

_SECOND = Section(
    "The second auto-sync",
    (
        Step(
            "Connect the archives",
            "What arrives on demo_storage2 shall go on to demo_storage3.",
            (
                InShell(
                    "alpenhorn group autosync demo_storage3 demo_storage2",
                    'Auto-sync from "demo_storage2" started',
                ),
            ),
        ),
        Step(
            "Write a data file",
            "It travels all the way.",
            (
                OnHost("alpenhost1", "mkdir {data1}/2025/02/26/01"),
                OnHost("alpenhost1", f'echo "14 15 16 17 18" > {{data1}}/{DATA_2}'),
                _SCAN,
            ),
            (
                _imported(DATA_2),
                _pulled(2, DATA_2),
                _pulled(3, DATA_2),
                Holds("demo_storage1", (META_2, DATA_2)),
                Holds("demo_storage2", (*ACQ_1, META_2, DATA_2)),
                Holds("demo_storage3", (*ACQ_1, DATA_2)),
            ),
        ),
        Step(
            "Fetch the one that was left behind",
            "One file is missing on demo_storage3: the second meta.txt, which reached "
            "demo_storage2 before the archives were connected. Auto-actions do nothing about the "
            "past; a sync does. So use both.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             2          68 B         -
                        demo_storage2             7         170 B         -
                        demo_storage3             6         117 B         -
                    """),
                ),
                InShell(
                    "alpenhorn node sync demo_storage2 demo_storage3",
                    block("""
                        Would sync 1 file (53 B) from Node "demo_storage2" to Group "demo_storage3".

                        Continue? [y/N]: y

                        Syncing 1 file (53 B) from Node "demo_storage2" to Group "demo_storage3".

                        Added 1 new copy request.
                    """),
                    answer="y",
                ),
            ),
            (_pulled(3, META_2), Holds("demo_storage3", (*ACQ_1, META_2, DATA_2))),
        ),
        Step(
            "See what is there",
            "The archives are equal.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             2          68 B         -
                        demo_storage2             7         170 B         -
                        demo_storage3             7         170 B         -
                    """),
                ),
            ),
        ),
    ),
)

_CLEAN = Section(
    "The auto-clean",
    (
        Step(
            "Have the first node cleaned",
            "The last link of the chain: what has arrived on demo_storage3 may go from "
            "demo_storage1. This one looks ahead only, too, so we clean up once by hand.",
            (
                InShell(
                    "alpenhorn node clean --now demo_storage1 --target=demo_storage3",
                    block("""
                        Would release 2 files (68 B).

                        Continue? [y/N]: y

                        Releasing 2 files (68 B).
                        Updated 2 files.
                    """),
                    answer="y",
                ),
                InShell(
                    "alpenhorn node autoclean demo_storage1 demo_storage3",
                    'Auto-clean trigger: Group "demo_storage3" added',
                ),
                InShell(
                    "alpenhorn node show demo_storage1 --actions",
                    block("""
                           Storage Node: demo_storage1
                          Storage Group: demo_storage1
                                 Active: Yes
                                   Type: -
                                  Notes:
                              I/O Class: Default

                            Daemon Host: alpenhost1
                         Log-in Address: alpenhost1
                        Log-in Username: root

                            Auto-Import: Off
                            Auto-Verify: Off
                              Max Total: -
                              Available: {size}
                          Min Available: -
                           Last Checked: {time}

                        I/O Config:

                          none

                        Auto-actions:

                        Group          Action      Trigger
                        -------------  ----------  ------------------------
                        demo_storage2  Auto-sync   File added to this node
                        demo_storage3  Auto-clean  File added to that group
                    """),
                ),
            ),
            (Holds("demo_storage1"),),
        ),
        Step(
            "Watch the whole chain",
            "One more file: imported on alpenhost1, copied to alpenhost2, from there to "
            "alpenhost3, and then deleted on alpenhost1, directories and all.",
            (
                OnHost("alpenhost1", "mkdir -p {data1}/2025/02/26/02"),
                OnHost("alpenhost1", f'echo "14 15 16 17 18" > {{data1}}/{DATA_3}'),
                _SCAN,
            ),
            (
                _imported(DATA_3),
                _pulled(2, DATA_3),
                _pulled(3, DATA_3),
                Logs(
                    "alpenhost1",
                    (
                        f"Removed file copy {DATA_3} on demo_storage1",
                        "Removed directory {data1}/2025/02/26/02 on demo_storage1",
                        "Removed directory {data1}/2025/02/26 on demo_storage1",
                        "Removed directory {data1}/2025/02 on demo_storage1",
                        "Removed directory {data1}/2025 on demo_storage1",
                    ),
                ),
                Holds("demo_storage1"),
                Holds("demo_storage2", ALL),
                Holds("demo_storage3", ALL),
            ),
        ),
        Step(
            "See what is there",
            "Everything is on both archives, and nothing is left on the instrument's disk.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             0             -         -
                        demo_storage2             8         185 B         -
                        demo_storage3             8         185 B         -
                    """),
                ),
            ),
        ),
    ),
)

SECTIONS = (_FIRST, _SECOND, _CLEAN)
