"""All tests; a package only so that `python -m tests.prove` and shared fixtures have a name."""
