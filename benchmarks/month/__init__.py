"""A simulated month of accelerators that come, slow down, lie and die, and what the mirror does."""
