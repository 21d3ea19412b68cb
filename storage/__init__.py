"""Where everything is kept: a database behind `domain.store`, and the bell behind `domain.ports`."""
