"""A file goes bad, is found out, and is repaired from its other copy."""
# ruff: noqa: E501 - transcripts are as wide as they are

from alpenhorn.demo.script.files import ACQ_1, FIRST, META, OTHERS
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, Section, Step, block

_GOOD_MD5 = "4c79018e00ddef11af0b9cfc14dd3261"
_BAD_MD5 = "3412f7b66a30b90ae3d3085c96615f00"

_ALL_WELL = InShell(
    "alpenhorn node stats --extra-stats",
    block("""
Name             File Count    Total Size    % Full    Corrupt Files    Suspect Files    Missing Files
-------------  ------------  ------------  --------  ---------------  ---------------  ---------------
demo_storage1             5         102 B         -                -                -                -
demo_storage2             5         102 B         -                -                -                -
    """),
)

_DETECT = Section(
    "Finding corruption",
    (
        Step(
            "Compare MD5 sums",
            "alpenhorn computed the MD5 sum of each file when it registered it. If we compute "
            "that of a copy, it is the same.",
            (
                InShell(
                    f"alpenhorn file show {FIRST}",
                    block("""
                               Name: 23/1324.dat
                        Acquisition: 2025/02/21
                               Path: 2025/02/21/23/1324.dat

                               Size: 12 B
                           MD5 Hash: 4c79018e00ddef11af0b9cfc14dd3261
                         Registered: {time}
                    """),
                ),
                OnHost("alpenhost1", f"md5sum {FIRST}", f"{_GOOD_MD5}  {FIRST}"),
            ),
        ),
        Step(
            "Corrupt a copy",
            "Now we play the failing disk. alpenhorn does not notice by itself, since reading "
            "everything again and again is costly. (A node's auto-verify does that, slowly.)",
            (
                OnHost("alpenhost1", f'echo "bad data" > {FIRST}'),
                OnHost("alpenhost1", f"md5sum {FIRST}", f"{_BAD_MD5}  {FIRST}"),
                _ALL_WELL,
            ),
            (Holds("demo_storage1", (META, *OTHERS), spoiled=(FIRST,)),),
        ),
        Step(
            "Verify the acquisition",
            "So we have all copies of that acquisition checked, and the daemon reads them.",
            (
                InShell(
                    "alpenhorn node verify --all --acq=2025/02/21 demo_storage1",
                    block("""
                        Would request verification of 5 files (102 B).

                        Continue? [y/N]: y

                        Requesting verification of 5 files (102 B).
                        Updated 5 files.
                    """),
                    answer="y",
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        *(f'Checking copy "{path}" on node demo_storage1.' for path in ACQ_1),
                        f"File {FIRST} on node demo_storage1 is corrupt! Size: 9; expected: 12",
                        *(
                            f"File {path} on node demo_storage1 is A-OK!"
                            for path in (META, *OTHERS)
                        ),
                    ),
                ),
                Holds("demo_storage1", (META, *OTHERS), corrupt=(FIRST,)),
            ),
        ),
        Step(
            "See the damage",
            "A copy that is known to be corrupt does not count as present.",
            (
                InShell(
                    "alpenhorn node stats --extra-stats",
                    block("""
Name             File Count    Total Size    % Full    Corrupt Files    Suspect Files    Missing Files
-------------  ------------  ------------  --------  ---------------  ---------------  ---------------
demo_storage1             4          90 B         -                1                -                -
demo_storage2             5         102 B         -                -                -                -
                    """),
                ),
                InShell(f"alpenhorn file state {FIRST} demo_storage1", "Corrupt Ready"),
            ),
        ),
    ),
)

_REPAIR = Section(
    "Repairing it",
    (
        Step(
            "Sync the file back",
            "The cure is a good copy. What demo_storage1 lacks, from demo_storage2: that is just "
            "the corrupt file.",
            (
                InShell(
                    "alpenhorn node sync demo_storage2 demo_storage1",
                    block("""
                        Would sync 1 file (12 B) from Node "demo_storage2" to Group "demo_storage1".

                        Continue? [y/N]: y

                        Syncing 1 file (12 B) from Node "demo_storage2" to Group "demo_storage1".

                        Added 1 new copy request.
                    """),
                    answer="y",
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        "Beginning task AFCR#{n}: demo_storage2 -> demo_storage1",
                        f"Pulling remote file {FIRST} using rsync",
                        f"Pull of {FIRST} complete. Transferred 12 B in {{duration}} [{{size}}/s]",
                        "Finished task: AFCR#{n}: demo_storage2 -> demo_storage1",
                    ),
                ),
                Holds("demo_storage1", ACQ_1),
            ),
        ),
        Step("See that all is well", "The copy is healthy again.", (_ALL_WELL,)),
    ),
)

SECTIONS = (_DETECT, _REPAIR)
