"""Which images do files ask for: lists, compose files, Kubernetes YAML, Dockerfiles?"""
