"""How bytes travel: movers bring a batch of files into a staging directory.

A *mover* (`link`, `copy`, `rsync`, `bbcp`) moves a batch and yields one `Outcome` per file. It is
never trusted: the caller flushes (`flush`), reads the staged bytes back and compares them with what
the index holds (`verify`), and only then renames them into place. `choose` says which movers are
tried for a route, `batch` holds the words that all of them share.
"""
