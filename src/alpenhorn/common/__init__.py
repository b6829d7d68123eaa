"""What every room needs: configuration, names, units, hashing, processes, logging, metrics."""
