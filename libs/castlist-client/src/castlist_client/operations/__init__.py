"""The parts of the client: what the two services are asked."""
