"""`python -m gmd26_md`: the command line, where the script is not on the path."""

from gmd26_md.cli import main

if __name__ == "__main__":
    main()
