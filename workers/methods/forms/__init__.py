"""What methods do to a model: forms of updates and modules, for several methods each. Needs torch."""
