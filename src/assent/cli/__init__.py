"""The command line: one noun per module, loaded when it is used, speaking HTTP as an operator."""
