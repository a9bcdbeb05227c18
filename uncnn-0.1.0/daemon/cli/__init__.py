"""The command line: `main` has all commands, the others those of one subject."""
