"""What was found, as a value (`results`), on a terminal (`terminal`), and as a page (`page`)."""
