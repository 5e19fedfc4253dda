"""Who asks, and what may they do? Accounts, proofs, rules and challenges (decision record 0040)."""
