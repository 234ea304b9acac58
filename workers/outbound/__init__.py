"""What the service sends to addresses that others name: which of these the operator allows, and how it gets there."""
