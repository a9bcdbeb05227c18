"""From what was published to a recogniser: formats and networks read, the graph built and proven."""
