"""The GraphQL edge: schema, transports, settings, command line, and the composition root."""
