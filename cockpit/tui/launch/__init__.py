"""Launching a plugin: what is asked for, the gallery to choose from, the form."""
