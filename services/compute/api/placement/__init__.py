"""The Placement API: what hosts have and who holds it, over the scheduler's own tables."""
