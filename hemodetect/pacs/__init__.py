"""From the PACS and back: receiving studies, the worklist, sending results."""
