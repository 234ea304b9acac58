"""The run of a leased job of any kind: what the conductor's loop and dispatch work with."""

from __future__ import annotations

from service.conductor.design_run import DesignRun
from service.conductor.job_run import JobRun

Run = JobRun | DesignRun
