"""Journeys through the real programs, counted: files entered, calls between files."""
