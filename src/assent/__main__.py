"""`python -m assent` is the command line."""

from assent.cli.main import main

if __name__ == "__main__":
    main()
