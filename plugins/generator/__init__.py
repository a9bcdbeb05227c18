"""The generator: a network that draws a change of a face in one pass, without asking a recogniser."""
