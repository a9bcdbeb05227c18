"""Telling a person that something needs them: on the desktop, and elsewhere by Apprise."""
