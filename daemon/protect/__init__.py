"""A photo's protection: the messages to those that look, change and judge, and what becomes of it."""
