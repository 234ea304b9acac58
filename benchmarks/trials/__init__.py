"""Real PEFT trials, recorded once and replayed by every benchmark that needs trainings.

`plan.py` says what is recorded and in which order, `recorder.py` trains it and resumes, `recording.py` is the
append-only file of finished trials, `table.py` the Parquet table that other benchmarks read.
"""
