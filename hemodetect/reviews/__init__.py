"""Review sessions: readers call studies, without or with the models."""
