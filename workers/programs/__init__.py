"""Trials that are programs of the user's own: started, heard, stopped and ended with all that they started."""
