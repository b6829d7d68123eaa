"""The Data Index, the first storage node, and its daemon."""

from alpenhorn.demo.steps import Holds, InShell, Logs, Section, StartDaemon, Step

_SET_UP = Section(
    "Setting up",
    (
        Step(
            "Create the Data Index",
            "All that alpenhorn knows is in one SQL database, the Data Index. Here it is an SQLite "
            "file; sites use a database server. It has to exist before anything else.",
            (InShell("alpenhorn db init", "Data Index version 2 initialised."),),
        ),
        Step(
            "Set up the import extension",
            "alpenhorn does not care what is in your files. An extension tells which files are "
            "data: ours, pattern_importer, looks at their paths. Its patterns are in tables of "
            "its own, which it makes now.",
            (
                InShell(
                    "python -c 'import pattern_importer; pattern_importer.demo_init()'",
                    "Plugin init complete.",
                ),
            ),
        ),
    ),
)

_CREATE = Section(
    "The first storage node",
    (
        Step(
            "Create a group and a node",
            "A node is a place that holds files, such as a disk. Every node is in a group; often "
            "it is alone there, and both have the same name. Files that appear on this one are to "
            "be imported automatically.",
            (
                InShell(
                    "alpenhorn group create demo_storage1",
                    'Created storage group "demo_storage1".',
                ),
                InShell(
                    "alpenhorn node create demo_storage1 --group=demo_storage1 --auto-import "
                    "--root={data1} --host=alpenhost1",
                    'Created storage node "demo_storage1".',
                ),
            ),
        ),
        Step(
            "Start the first daemon",
            "Each host that holds data runs one daemon, which does all the work there. It makes a "
            "pass over its nodes every so often: every second in this demo, so that you need "
            "not wait; once a minute by default. Requests wake it earlier. It has nothing to do "
            "yet: our node is not active.",
            (StartDaemon("alpenhost1"),),
            (
                Logs(
                    "alpenhost1",
                    (
                        "Alpenhorn start.",
                        "Loading extension pattern_importer",
                        "Started.",
                        "Started.",
                        "No active nodes on host (alpenhost1)!",
                    ),
                ),
            ),
        ),
        Step(
            "Activate the node",
            "An active node is one that a daemon should look after. But is this really the right "
            "disk? The daemon looks for a file ALPENHORN_NODE with the node's name at its root. "
            "There is none, so it leaves the node alone.",
            (
                InShell(
                    "alpenhorn node activate demo_storage1",
                    'Storage node "demo_storage1" activated.',
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        'Node "demo_storage1" now available.',
                        'Node file "{data1}/ALPENHORN_NODE" could not be read.',
                        'Ignoring node "demo_storage1": not initialised.',
                    ),
                ),
            ),
        ),
        Step(
            "Initialise the node",
            "We could write that file ourselves, but the daemon can do it. The command line only "
            "leaves a request in the Data Index, so it works from any machine that reaches the "
            "database. Then the daemon begins to watch for new files, and tidies up.",
            (
                InShell(
                    "alpenhorn node init demo_storage1",
                    'Requested initialisation of Node "demo_storage1".',
                ),
            ),
            (
                Logs(
                    "alpenhost1",
                    (
                        'Requesting init of node "demo_storage1".',
                        'Node "demo_storage1" initialised.',
                        'Finished task: Init Node "demo_storage1"',
                        'Node "demo_storage1" now available.',
                        'Group "demo_storage1" now available.',
                        'Watching node "demo_storage1" root "{data1}" for auto import.',
                        "Finished task: Catch-up on demo_storage1",
                        "Finished task: Tidy up demo_storage1",
                    ),
                ),
                Holds("demo_storage1"),
            ),
        ),
    ),
)

SECTIONS = (_SET_UP, _CREATE)
