"""Every registered method on real data, from recorded trials: its learning rate tuned at equal budget, then fresh seeds
on rows that no tuning saw. Fills the measured part of docs/methods.md.
"""
