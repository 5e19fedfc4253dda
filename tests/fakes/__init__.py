"""Fakes of the services and programs around a mirror, on real sockets."""
