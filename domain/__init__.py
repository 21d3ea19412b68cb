"""What a run is and what may happen to it. Standard library only; every other package points here."""
