"""Where and how trials train: executors, packs, placement, costs, and workers that fall silent."""
