"""Files become known to alpenhorn: by themselves, or when asked for."""
# ruff: noqa: E501 - transcripts are as wide as they are

from alpenhorn.demo.script.files import ACQ_1, FIRST, META, OTHERS
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, Section, Step, block

_LOCK = "2025/02/21/.meta.txt.lock"

_TWO_FILES = block("""
    Name             File Count    Total Size    % Full
    -------------  ------------  ------------  --------
    demo_storage1             2          64 B         -
""")

_LOCKED = Section(
    "Automatic import, with a lock file",
    (
        Step(
            "Write a file under a lock",
            "alpenhorn must not import a file that is still being written. As long as there is a "
            "lock file, with a dot in front of the name and .lock behind it, it keeps off.",
            (
                OnHost("alpenhost1", "cd {data1}"),
                OnHost("alpenhost1", "mkdir -p 2025/02/21"),
                OnHost("alpenhost1", f"touch {_LOCK}"),
                OnHost(
                    "alpenhost1",
                    f'echo "This is the first acquisition in the alpenhorn demo" > {META}',
                ),
            ),
            (
                Logs("alpenhost1", (f'Skipping "{META}": locked.',)),
                Holds("demo_storage1", unknown=(META, _LOCK)),
            ),
        ),
        Step(
            "Remove the lock",
            "The file is complete. When its lock goes, the daemon imports it at once: a new "
            "acquisition, a new file in it, and a copy of that file on our node.",
            (OnHost("alpenhost1", f"rm -f {_LOCK}"),),
            (
                Logs(
                    "alpenhost1",
                    (
                        f"Beginning task Import {META} on demo_storage1",
                        'Acquisition "2025/02/21" added to DB.',
                        f'File "{META}" added to DB.',
                        f'Imported file copy "{META}" on node "demo_storage1".',
                        f"Finished task: Import {META} on demo_storage1",
                    ),
                ),
                Holds("demo_storage1", (META,)),
            ),
        ),
        Step(
            "See what is there",
            "The Data Index knows the file's length and its MD5 sum. From now on, alpenhorn "
            "can tell whether a copy of it is good, anywhere.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             1          52 B         -
                    """),
                ),
                InShell(
                    "alpenhorn file list --node=demo_storage1 --details",
                    block("""
File                 Size    MD5 Hash                          Registration Time             State    Size on Node
-------------------  ------  --------------------------------  ----------------------------  -------  --------------
2025/02/21/meta.txt  52 B    4f2a66c1ff5eb90a5013522d53ea2e91  {time}  Healthy  {size}
                    """),
                ),
            ),
        ),
    ),
)

_TEMPORARY = Section(
    "Automatic import, with a temporary name",
    (
        Step(
            "Write under another name",
            "Another way to be left in peace while writing: a name that the extension does not "
            "take for data (or one that begins with a dot, which is never imported).",
            (
                OnHost("alpenhost1", "mkdir 2025/02/21/23"),
                OnHost("alpenhost1", f'echo "0 1 2 3 4 5" > {FIRST}.temp'),
            ),
            (
                Logs("alpenhost1", (f"Not importing non-acquisition path: {FIRST}.temp",)),
                Holds("demo_storage1", (META,), unknown=(f"{FIRST}.temp",)),
            ),
        ),
        Step(
            "Give it its name",
            "Renaming is atomic: the file is there at once, and complete. The acquisition is known "
            "by now, so only the file and its copy are new.",
            (OnHost("alpenhost1", f"mv {FIRST}.temp {FIRST}"),),
            (
                Logs(
                    "alpenhost1",
                    (
                        f"Beginning task Import {FIRST} on demo_storage1",
                        f'File "{FIRST}" added to DB.',
                        f'Imported file copy "{FIRST}" on node "demo_storage1".',
                        f"Finished task: Import {FIRST} on demo_storage1",
                    ),
                ),
                Holds("demo_storage1", (META, FIRST)),
            ),
        ),
        Step(
            "See what is there",
            "Two files, both healthy.",
            (
                InShell("alpenhorn node stats", _TWO_FILES),
                InShell(
                    "alpenhorn file list --node=demo_storage1 --details",
                    block("""
File                    Size    MD5 Hash                          Registration Time             State    Size on Node
----------------------  ------  --------------------------------  ----------------------------  -------  --------------
2025/02/21/23/1324.dat  12 B    4c79018e00ddef11af0b9cfc14dd3261  {time}  Healthy  {size}
2025/02/21/meta.txt     52 B    4f2a66c1ff5eb90a5013522d53ea2e91  {time}  Healthy  {size}
                    """),
                ),
            ),
        ),
    ),
)

_MANUAL = Section(
    "Import by hand",
    (
        Step(
            "Turn automatic import off",
            "A node need not be watched.",
            (InShell("alpenhorn node modify demo_storage1 --no-auto-import", "Node updated."),),
        ),
        Step(
            "Look at the node",
            "All about one node. The daemon learns of the change in its next pass.",
            (
                InShell(
                    "alpenhorn node show demo_storage1",
                    block("""
                           Storage Node: demo_storage1
                          Storage Group: demo_storage1
                                 Active: Yes
                                   Type: -
                                  Notes:
                              I/O Class: Default

                            Daemon Host: alpenhost1
                         Log-in Address:
                        Log-in Username:

                            Auto-Import: Off
                            Auto-Verify: Off
                              Max Total: -
                              Available: {size}
                          Min Available: -
                           Last Checked: {time}

                        I/O Config:

                          none
                    """),
                ),
            ),
            # The pass that ends first may have begun before the change.
            (Logs("alpenhost1", ('Updating node "demo_storage1".',) * 2),),
        ),
        Step(
            "Write files that nobody notices",
            "Three more data files. alpenhorn still counts two.",
            (
                OnHost("alpenhost1", f'echo "0 1 2 3 4 5" > {OTHERS[0]}'),
                OnHost("alpenhost1", f'echo "3 4 5 6 7 8" > {OTHERS[1]}'),
                OnHost("alpenhost1", f'echo "9 10 11 12 13" > {OTHERS[2]}'),
                InShell("alpenhorn node stats", _TWO_FILES),
            ),
            (Holds("demo_storage1", (META, FIRST), unknown=OTHERS),),
        ),
        Step(
            "Import one file",
            "We ask for one of them. --register-new allows the daemon to record a file that the "
            "Data Index has never seen.",
            (
                InShell(
                    f"alpenhorn file import --register-new {OTHERS[0]} demo_storage1",
                    "Added new import request.",
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        f"Beginning task Import {OTHERS[0]} on demo_storage1",
                        f'File "{OTHERS[0]}" added to DB.',
                        f'Imported file copy "{OTHERS[0]}" on node "demo_storage1".',
                        "Completed import request #{n}.",
                    ),
                ),
                Holds("demo_storage1", (META, FIRST, OTHERS[0]), unknown=OTHERS[1:]),
            ),
        ),
        Step(
            "Scan a directory",
            "Or we have the daemon look through a whole directory for files it does not know.",
            (
                InShell(
                    "alpenhorn node scan demo_storage1 --register-new 2025/02/21",
                    'Added request for scan of "2025/02/21" on Node "demo_storage1".',
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        'Scanning "2025/02/21" on "demo_storage1" for new files.',
                        'Scanning "2025/02/21".',
                        'Scanning "2025/02/21/23".',
                        "Completed import request #{n}.",
                        f'Imported file copy "{OTHERS[1]}" on node "demo_storage1".',
                        f'Imported file copy "{OTHERS[2]}" on node "demo_storage1".',
                    ),
                ),
                Holds("demo_storage1", ACQ_1),
            ),
        ),
        Step(
            "See what is there",
            "Now there are five files on the node.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             5         102 B         -
                    """),
                ),
            ),
        ),
    ),
)

SECTIONS = (_LOCKED, _TEMPORARY, _MANUAL)
