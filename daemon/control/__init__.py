"""The control socket of the running service: commands of the same user have photos done by its loaded models."""
