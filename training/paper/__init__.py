"""What the paper prints: its tables, its figures, and the methods that it compares with."""
