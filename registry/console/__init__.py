"""What do people and monitoring systems see? Pages, probes and metrics."""
