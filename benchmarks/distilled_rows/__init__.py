"""Distilled rows as a cheap rung: do they rank configurations as the full data does, better than random rows do?"""
