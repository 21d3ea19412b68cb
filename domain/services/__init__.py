"""Use cases: what people and workers do, each as one transaction."""
