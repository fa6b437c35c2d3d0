"""Review sessions: readers first, models after."""
