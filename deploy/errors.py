"""What stops a command, said in one line."""


class DeployError(Exception):
    """A command cannot go on. The message is one line for the person at the terminal; the exit code is 1."""
