"""Changes of the database's tables, oldest first; run by `hemodetect.storage.database`."""
