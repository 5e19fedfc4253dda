"""What has the operator configured? The model of all settings, and how it is filled."""
