"""What a process that decodes strangers' files may do: read and write in a few folders, and nothing else."""
