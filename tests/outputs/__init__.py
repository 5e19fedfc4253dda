"""The outputs of every command, as people see them: recorded in docs/evidence/outputs.md."""
