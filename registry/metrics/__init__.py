"""The metrics of a process, and of all processes of a server together."""
