"""People who are enrolled, so that a policy can cloak all but them, or them alone.

What judges make of their faces never leaves the state folder, and `people enroll` alone writes it.
"""
