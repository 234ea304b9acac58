"""AutoPEFT against single methods on real data: equal budgets of parameters and of trials, and transfer between tasks.
Fills the measured part of docs/search-spaces.md.
"""
