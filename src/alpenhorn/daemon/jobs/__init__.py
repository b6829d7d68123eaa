"""One file per chore of a pass, and per task that is the daemon's own."""
