"""What a station writes down: what it accepted, its receipts, its journal, and what it returns to the exporter."""
