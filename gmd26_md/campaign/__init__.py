"""Many models on many molecules, on any executor: described in a file, cut into units, run, gathered."""
