"""The schema's history, oldest first; a migration that was released is never changed."""
