"""A second host, and copies on it: of one file, then of all."""
# ruff: noqa: E501 - transcripts are as wide as they are

from alpenhorn.demo.script.files import ACQ_1, DATA, META
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, Section, StartDaemon, Step, block

_SECOND_HOST = Section(
    "A second host",
    (
        Step(
            "Create the second node",
            "Files need another place to go to. --create-group makes the group of the same name "
            "along with the node. Neither is the node active, nor does its daemon run: requests "
            "wait in the Data Index until somebody can handle them.",
            (
                InShell(
                    "alpenhorn node create demo_storage2 --create-group --root={data2} "
                    "--host=alpenhost2",
                    block("""
                        Created storage group "demo_storage2".
                        Created storage node "demo_storage2".
                    """),
                ),
                InShell(
                    "alpenhorn node init demo_storage2",
                    'Requested initialisation of Node "demo_storage2".',
                ),
            ),
        ),
        Step(
            "See what is pending",
            "The request for initialisation is among the import requests; the new node is empty.",
            (
                InShell(
                    "alpenhorn node show demo_storage2 --all",
                    block("""
                           Storage Node: demo_storage2
                          Storage Group: demo_storage2
                                 Active: No
                                   Type: -
                                  Notes:
                              I/O Class: Default

                            Daemon Host: alpenhost2
                         Log-in Address:
                        Log-in Username:

                            Auto-Import: Off
                            Auto-Verify: Off
                              Max Total: -
                              Available: -
                          Min Available: -
                           Last Checked: -

                        I/O Config:

                          none

                        Stats:

                            Total Files: 0
                             Total Size: -
                                  Usage: -%

                        Pending import requests:

                        Path         Scan    Register New    Request Time
                        -----------  ------  --------------  -------------------
                        [Node Init]  -       -               {request_time}

                        Pending outbound transfers:

                        Dest. Group    Request Count    Total Size
                        -------------  ---------------  ------------

                        Auto-actions:

                          none
                    """),
                ),
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             5         102 B         -
                        demo_storage2             0             -         -
                    """),
                ),
            ),
        ),
        Step(
            "Say how the hosts reach each other",
            "Daemons fetch files from other hosts by rsync over ssh, so a node needs a user name "
            "and an address. (In this demo a small program stands in for ssh and stays on this "
            "machine.) A node's host is where its daemon runs; its address is where others find "
            "it. Often these are the same.",
            (
                InShell(
                    "alpenhorn node modify demo_storage1 --username root --address alpenhost1",
                    "Node updated.",
                ),
                InShell(
                    "alpenhorn node activate demo_storage2 --username root --address alpenhost2",
                    'Storage node "demo_storage2" activated.',
                ),
            ),
        ),
        Step(
            "Start the second daemon",
            "It finds the request that has been waiting, and initialises its node.",
            (StartDaemon("alpenhost2"),),
            (
                Logs(
                    "alpenhost2",
                    (
                        'Requesting init of node "demo_storage2".',
                        'Node "demo_storage2" initialised.',
                        'Finished task: Init Node "demo_storage2"',
                        'Group "demo_storage2" now available.',
                    ),
                ),
                Holds("demo_storage2"),
            ),
        ),
    ),
)

_ONE_FILE = Section(
    "Copying one file",
    (
        Step(
            "Request a transfer",
            "Files go from a node to a group. The receiving side does the work: the daemon on "
            "alpenhost2 first looks whether the file is there already, then it fetches it, and "
            "believes in the copy only when it has read it back.",
            (
                InShell(
                    f"alpenhorn file sync --from demo_storage1 --to demo_storage2 {META}",
                    "Request submitted.",
                ),
            ),
            (
                Logs(
                    "alpenhost2",
                    (
                        f"Beginning task Pre-pull search for {META} in demo_storage2",
                        f"Finished task: Pre-pull search for {META} in demo_storage2",
                        "Beginning task AFCR#1: demo_storage1 -> demo_storage2",
                        'Creating directory "{data2}/2025/02/21".',
                        f"Pulling remote file {META} using rsync",
                        f"Pull of {META} complete. Transferred 52 B in {{duration}} [{{size}}/s]",
                        "Finished task: AFCR#1: demo_storage1 -> demo_storage2",
                    ),
                ),
                Holds("demo_storage2", (META,)),
            ),
        ),
        Step(
            "See what is there",
            "One file on the second node: in the Data Index, and on its disk.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             5         102 B         -
                        demo_storage2             1          52 B         -
                    """),
                ),
                OnHost(
                    "alpenhost2",
                    "find {data2} | sort",
                    block("""
                        {data2}
                        {data2}/2025
                        {data2}/2025/02
                        {data2}/2025/02/21
                        {data2}/2025/02/21/meta.txt
                        {data2}/ALPENHORN_NODE
                    """),
                ),
            ),
        ),
    ),
)

_SYNC = "alpenhorn node sync demo_storage1 demo_storage2 --show-files"

_ALL_FILES = Section(
    "Copying everything that is missing",
    (
        Step(
            "Sync the node",
            "More often one asks for all files of a node that a group does not have. alpenhorn "
            "shows what it would do, and asks. Four files: the fifth is there already.",
            (
                InShell(
                    _SYNC,
                    block("""
                        Would sync 4 files (50 B) from Node "demo_storage1" to Group "demo_storage2":

                        2025/02/21/23/1324.dat
                        2025/02/21/23/1330.dat
                        2025/02/21/23/1342.dat
                        2025/02/21/23/1349.dat

                        Continue? [y/N]: y

                        Syncing 4 files (50 B) from Node "demo_storage1" to Group "demo_storage2".

                        Added 4 new copy requests.
                    """),
                    answer="y",
                ),
            ),
            (
                Logs(
                    "alpenhost2",
                    tuple(
                        f"Pull of {path} complete. Transferred {{size}} in {{duration}} [{{size}}/s]"
                        for path in DATA
                    ),
                ),
                Holds("demo_storage2", ACQ_1),
            ),
        ),
        Step(
            "Sync again",
            "Both nodes hold the same now. Asking again does no harm.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             5         102 B         -
                        demo_storage2             5         102 B         -
                    """),
                ),
                InShell(_SYNC, "No files to sync."),
            ),
        ),
    ),
)

SECTIONS = (_SECOND_HOST, _ONE_FILE, _ALL_FILES)
