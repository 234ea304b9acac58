"""Members of a pack as one computation: update forms whose factors are stacked over members."""
