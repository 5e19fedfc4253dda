"""A coverage-guided fuzzer over everything that reads what strangers wrote."""
