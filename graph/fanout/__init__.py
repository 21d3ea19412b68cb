"""One execution and one encoding of an event for all subscribers who asked for the same."""
