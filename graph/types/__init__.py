"""The public types of the API: one module for each family, made from domain records and nothing else."""

from graph.types import enums

__all__ = ["enums"]
