"""Files are deleted only when two archive nodes hold them: refusal, third host, deletion."""
# ruff: noqa: E501 - transcripts are as wide as they are

from alpenhorn.demo.script.files import ACQ_1, DATA, META
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, Section, StartDaemon, Step, block

_REFUSED = Section(
    "Deleting a file, or not",
    (
        Step(
            "Release a file",
            "Once files are safe elsewhere, the instrument's disk should get free. --now means as "
            "soon as possible. But the daemon refuses: it deletes nothing unless two other copies "
            "are on archive nodes, and we have none of these. It will try again.",
            (
                InShell(
                    f"alpenhorn file clean --now --node=demo_storage1 {META}",
                    f'Released "{META}" for immediate removal on Node "demo_storage1".',
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (f"Too few archive copies (0) to delete {META} on demo_storage1.",),
                ),
                Holds("demo_storage1", ACQ_1),
            ),
        ),
        Step(
            "Make the second node an archive",
            "An archive node is any node of the storage type Archive. Now the daemon on alpenhost1 "
            "finds one archive copy. It needs two.",
            (InShell("alpenhorn node modify --archive demo_storage2", "Node updated."),),
            (
                Logs(
                    "alpenhost1",
                    (f"Too few archive copies (1) to delete {META} on demo_storage1.",),
                ),
                Holds("demo_storage1", ACQ_1),
            ),
        ),
        Step(
            "Look at the archive node",
            "Its type shows here.",
            (
                InShell(
                    "alpenhorn node show demo_storage2",
                    block("""
                           Storage Node: demo_storage2
                          Storage Group: demo_storage2
                                 Active: Yes
                                   Type: Archive
                                  Notes:
                              I/O Class: Default

                            Daemon Host: alpenhost2
                         Log-in Address: alpenhost2
                        Log-in Username: root

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
        ),
    ),
)

_THIRD_HOST = Section(
    "A third host, and the deletion",
    (
        Step(
            "Create a second archive node",
            "All in one command this time: group, node, log-in, initialisation and activation.",
            (
                InShell(
                    "alpenhorn node create demo_storage3 --create-group --archive --root={data3} "
                    "--host=alpenhost3 --username root --address alpenhost3 --init --activate",
                    block("""
                        Created storage group "demo_storage3".
                        Created storage node "demo_storage3".
                    """),
                ),
            ),
        ),
        Step(
            "Start the third daemon",
            "It initialises its node.",
            (StartDaemon("alpenhost3"),),
            (
                Logs(
                    "alpenhost3",
                    (
                        'Node "demo_storage3" initialised.',
                        'Group "demo_storage3" now available.',
                    ),
                ),
                Holds("demo_storage3"),
            ),
        ),
        Step(
            "Fill it",
            "--force skips the question; be careful with it. As soon as the file is on the second "
            "archive, the daemon on alpenhost1 deletes its copy.",
            (
                InShell(
                    "alpenhorn node sync --force demo_storage2 demo_storage3",
                    block("""
                        Syncing 5 files (102 B) from Node "demo_storage2" to Group "demo_storage3".

                        Added 5 new copy requests.
                    """),
                ),
            ),
            (
                Logs(
                    "alpenhost3",
                    (f"Pull of {META} complete. Transferred 52 B in {{duration}} [{{size}}/s]",),
                ),
                Holds("demo_storage3", ACQ_1),
                Logs("alpenhost1", (f"Removed file copy {META} on demo_storage1",)),
                Holds("demo_storage1", DATA),
            ),
        ),
        Step(
            "See what is there",
            "Four files are left on the first node.",
            (
                InShell(
                    "alpenhorn node stats --extra-stats",
                    block("""
Name             File Count    Total Size    % Full    Corrupt Files    Suspect Files    Missing Files
-------------  ------------  ------------  --------  ---------------  ---------------  ---------------
demo_storage1             4          50 B         -                -                -                -
demo_storage2             5         102 B         -                -                -                -
demo_storage3             5         102 B         -                -                -                -
                    """),
                ),
            ),
        ),
    ),
)

_BULK = Section(
    "Deleting in bulk",
    (
        Step(
            "Clean the node",
            "Release everything on demo_storage1 that demo_storage3 holds. Directories that get "
            "empty go too.",
            (
                InShell(
                    "alpenhorn node clean demo_storage1 --now --target demo_storage3",
                    block("""
                        Would release 4 files (50 B).

                        Continue? [y/N]: y

                        Releasing 4 files (50 B).
                        Updated 4 files.
                    """),
                    answer="y",
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        *(f"Removed file copy {path} on demo_storage1" for path in DATA),
                        "Removed directory {data1}/2025/02/21/23 on demo_storage1",
                        "Removed directory {data1}/2025/02/21 on demo_storage1",
                        "Removed directory {data1}/2025/02 on demo_storage1",
                        "Removed directory {data1}/2025 on demo_storage1",
                    ),
                ),
                Holds("demo_storage1"),
            ),
        ),
        Step(
            "See that it is empty",
            "Only the file that names the node is left on the disk.",
            (
                InShell(
                    "alpenhorn node stats --extra-stats",
                    block("""
Name             File Count    Total Size    % Full    Corrupt Files    Suspect Files    Missing Files
-------------  ------------  ------------  --------  ---------------  ---------------  ---------------
demo_storage1             0             -         -                -                -                -
demo_storage2             5         102 B         -                -                -                -
demo_storage3             5         102 B         -                -                -                -
                    """),
                ),
                OnHost(
                    "alpenhost1",
                    "find {data1} | sort",
                    block("""
                        {data1}
                        {data1}/ALPENHORN_NODE
                    """),
                ),
            ),
        ),
    ),
)

SECTIONS = (_REFUSED, _THIRD_HOST, _BULK)
