"""Videos and tasks: the one rule of the domain that services share."""
