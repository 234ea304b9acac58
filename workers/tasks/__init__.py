"""What a trial is asked to learn: loss and measure of each type of task."""
