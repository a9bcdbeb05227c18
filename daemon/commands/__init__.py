"""What each command does; `cli` declares its options, and imports it when it is run."""
