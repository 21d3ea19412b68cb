"""The commands of `mgx`, one module for each family; `graph.cli` imports the one that is asked for."""
