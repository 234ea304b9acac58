"""What the types of task that rank documents for queries have in common."""
