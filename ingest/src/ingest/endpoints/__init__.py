"""The operations, a resource a module."""
