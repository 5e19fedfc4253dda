"""What do monitoring systems see? Probes and metrics."""
