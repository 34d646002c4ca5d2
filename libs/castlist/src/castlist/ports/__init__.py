"""What the services need from the outside: documents, objects and a log of messages.

Each port has a real adapter and one in memory (`castlist.adapters`); one conformance suite runs over both.
"""
