"""What did the operator say? The model of all settings, and how it is filled."""
