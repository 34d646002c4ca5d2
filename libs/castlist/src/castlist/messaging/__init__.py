"""Taking messages and giving them away: the loops around handlers, and the relay of the outbox."""
