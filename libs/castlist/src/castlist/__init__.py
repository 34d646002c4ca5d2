"""What Castlist's services share: the contract (events, topics, ids), the adapters and the client."""
