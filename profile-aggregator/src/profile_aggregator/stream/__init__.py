"""Faust, held so that nothing is acknowledged that was not done."""
