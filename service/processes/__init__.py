"""What keeps the service's processes alive, single and within the machine."""
