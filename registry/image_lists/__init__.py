"""Which images does a file name? Lists, compose files, Kubernetes YAML, Dockerfiles."""
