"""What the product costs, measured from outside; docs/benchmarks.md has the figures and what they mean."""
