"""People: who they are, finding them, and putting right what the machine got wrong."""
