"""What do operators type? The command `entrepot`."""
