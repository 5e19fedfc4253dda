"""What is told of bundles: their content, and the results of the commands that handle them."""
