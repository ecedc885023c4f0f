"""Train one family of potentials on one task from one recipe."""
