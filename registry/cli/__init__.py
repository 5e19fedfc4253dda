"""How do operators drive us? The `entrepot` command."""
