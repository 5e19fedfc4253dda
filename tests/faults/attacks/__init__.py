"""Attacks of clients on a mirror, beside honest clients whose latency is measured."""
