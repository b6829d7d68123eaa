"""Files travel on a disk that is carried to another host; it is cleaned for its return."""
# ruff: noqa: E501 - transcripts are as wide as they are

from alpenhorn.demo.script.files import ALL
from alpenhorn.demo.steps import Holds, InShell, Logs, Section, Step, block


def _pulled(host: str) -> Logs:
    line = "Pull of {path} complete. Transferred {{size}} in {{duration}} [{{size}}/s]"
    return Logs(host, tuple(line.format(path=path) for path in ALL))


_OUT = Section(
    "A transport disk",
    (
        Step(
            "Create a transport group and a disk in it",
            "Where the network is too thin, disks are carried. Each disk is a node of the type "
            "transport, and all of them are in one group, whose I/O class Transport decides which "
            "disk is filled next, and accepts files from the same host only. Ours is at "
            "alpenhost3 now.",
            (
                InShell(
                    "alpenhorn group create --class=Transport transport_group",
                    'Created storage group "transport_group".',
                ),
                InShell(
                    "alpenhorn node create transport1 --transport --group transport_group "
                    "--host=alpenhost3 --root={transport} --init --activate",
                    'Created storage node "transport1".',
                ),
            ),
            (
                Logs(
                    "alpenhost3",
                    (
                        'Requesting init of node "transport1".',
                        'Node "transport1" initialised.',
                        'Group "transport_group" now available.',
                    ),
                ),
                Holds("transport1"),
            ),
        ),
        Step(
            "Fill the disk",
            "The target is where the files shall arrive in the end: what is there already need "
            "not travel.",
            (
                InShell(
                    "alpenhorn node sync demo_storage3 transport_group --target=demo_storage1",
                    block("""
                        Would sync 8 files (185 B) from Node "demo_storage3" to Group "transport_group".

                        Continue? [y/N]: y

                        Syncing 8 files (185 B) from Node "demo_storage3" to Group "transport_group".

                        Added 8 new copy requests.
                    """),
                    answer="y",
                ),
            ),
            (
                _pulled("alpenhost3"),
                Holds("transport1", ALL),
            ),
        ),
        Step(
            "See what is on it",
            "All eight files.",
            (
                InShell(
                    "alpenhorn group show --node-stats transport_group",
                    block("""
                        Storage Group: transport_group
                                Notes:
                            I/O Class: Transport

                        I/O Config:

                          none

                        Nodes:

                        Name          File Count  Total Size    % Full
                        ----------  ------------  ------------  --------
                        transport1             8  185 B         -
                    """),
                ),
            ),
        ),
    ),
)

_BACK = Section(
    "Carrying it to the other host",
    (
        Step(
            "Take the disk out",
            "Tell alpenhorn before you pull it. The daemon lets go of it, and of the group, which "
            "has no other disk here.",
            (
                InShell(
                    "alpenhorn node deactivate transport1",
                    'Storage node "transport1" deactivated.',
                ),
            ),
            (
                Logs(
                    "alpenhost3",
                    (
                        'Node "transport1" no longer available.',
                        'Group "transport_group" no longer available.',
                    ),
                ),
            ),
        ),
        Step(
            "Put it in at alpenhost1",
            "After the journey we say where the disk is now: its host, how that is reached, and "
            "where it is mounted. (Here, nothing needs to be carried.)",
            (
                InShell(
                    "alpenhorn node activate transport1 --host=alpenhost1 --username=root "
                    "--address=alpenhost1 --root={transport}",
                    'Storage node "transport1" activated.',
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        'Node "transport1" now available.',
                        'Group "transport_group" now available.',
                    ),
                ),
            ),
        ),
        Step(
            "Copy the files off it",
            "A sync like any other.",
            (
                InShell(
                    "alpenhorn node sync transport1 demo_storage1",
                    block("""
                        Would sync 8 files (185 B) from Node "transport1" to Group "demo_storage1".

                        Continue? [y/N]: y

                        Syncing 8 files (185 B) from Node "transport1" to Group "demo_storage1".

                        Added 8 new copy requests.
                    """),
                    answer="y",
                ),
            ),
            (_pulled("alpenhost1"), Holds("demo_storage1", ALL), Holds("transport1", ALL)),
        ),
        Step(
            "See what is there",
            "Four places with the same eight files.",
            (
                InShell(
                    "alpenhorn node stats",
                    block("""
                        Name             File Count    Total Size    % Full
                        -------------  ------------  ------------  --------
                        demo_storage1             8         185 B         -
                        demo_storage2             8         185 B         -
                        demo_storage3             8         185 B         -
                        transport1                8         185 B         -
                    """),
                ),
            ),
        ),
        Step(
            "Clean the disk for its next journey",
            "Only files that demo_storage1 holds are released; and two archives hold them, so the "
            "daemon deletes them.",
            (
                InShell(
                    "alpenhorn node clean --now --force transport1 --target=demo_storage1",
                    block("""
                        Releasing 8 files (185 B).
                        Updated 8 files.
                    """),
                ),
            ),
            (
                Logs(
                    "alpenhost1", tuple(f"Removed file copy {path} on transport1" for path in ALL)
                ),
                Holds("transport1"),
                Holds("demo_storage1", ALL),
            ),
        ),
    ),
)

SECTIONS = (_OUT, _BACK)
