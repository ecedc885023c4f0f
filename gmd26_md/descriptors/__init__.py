"""Numbers that describe the surroundings of an atom, whatever model looks at it, or as a model itself sees it."""
