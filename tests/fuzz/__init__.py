"""A coverage-guided fuzzer over all code that reads untrusted input."""
