"""Model files of other packages: told by their content, opened only where the user trusts them."""
