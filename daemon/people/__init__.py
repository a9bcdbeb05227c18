"""People who are enrolled, so that a policy can cloak all but them, or them alone.

The embeddings of their faces never leave the state folder, and `people enroll` alone writes it.
"""
