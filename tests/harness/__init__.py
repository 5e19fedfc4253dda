"""Real programs under test, started and stopped by the tests."""
