"""The operations, a resource a module, in rooms as their tags are."""
