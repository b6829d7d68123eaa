"""The demo: the walkthrough of the manual, played on this machine (``alpenhorn demo``).

Nothing is pretended: an SQLite Data Index, three daemons that are processes of their own, the real
command line, and rsync. Only the network is missing: the daemons reach each other's "hosts" by the
remote shell in `shell`, which runs the command here.

`script` is what is played (data), `player` plays it, `site` and `daemons` are the stage,
`facts` looks at index and disks, `narrator` writes what the newcomer reads.
"""
