"""The service: the loop that watches and keeps house, and the thread that takes photos down their path."""
