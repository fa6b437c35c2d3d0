"""Files, the database, people and the audit trail on disk."""
