"""What trains a trial from assignment to outcome: alone, in a pack, on a sharded base, on Ray or from stdin."""
