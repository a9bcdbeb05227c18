"""`python -m uncnn` is the command `uncnn-daemon`."""

from uncnn.daemon.cli.entry import main

main()
