/** Keeps a job's page current: listens to its events and fetches only what they say has changed. */
import { type MutationStatus, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { isRefusal, openEvents } from "./client";
import { keys, type LogEntry } from "./queries";
import { followEvents, type ServerEvent, type StreamStatus } from "./sse";
import { indexOfNumber, isOver, mergeTrials, numberOf, withoutTrials } from "./trial-set";
import { loadSome } from "./trials";
import type { Trial } from "./types";

/** Events that arrive within this time are answered together. */
const BATCH_MS = 300;
const LOG_LENGTH = 1000;

/** Follow a job while the component is mounted; returns the state of the connection. */
export function useLiveJob(jobId: string): StreamStatus {
  const cache = useQueryClient();
  const [status, setStatus] = useState<StreamStatus>({ state: "connecting" });
  useEffect(() => {
    const stop = new AbortController();
    cache.setQueryDefaults(keys.log(jobId), { gcTime: Infinity });
    const updates = new Updates(jobId, cache, stop.signal);
    void followEvents({
      open: (lastEventId, signal) => openEvents(jobId, lastEventId, signal),
      onEvent: (event) => updates.take(event),
      onStatus: setStatus,
      isFinal: isRefusal,
      signal: stop.signal,
    });
    return () => {
      stop.abort();
      cache.removeQueries({ queryKey: keys.log(jobId) }); // it is told again when the page is opened
    };
  }, [jobId, cache]);
  return status;
}

/** Collects what events made stale and refreshes it, one batch at a time. */
export class Updates {
  private readonly changed = new Set<string>();
  private readonly remarked = new Set<string>();
  private readonly dropped = new Set<string>();
  private readonly reported = new Set<string>();
  private readonly log: LogEntry[] = [];
  private job = false;
  private front = false;
  private stages = false;
  private scheduled = false;

  constructor(
    private readonly jobId: string,
    private readonly cache: QueryClient,
    private readonly signal: AbortSignal,
  ) {}

  take({ id, kind, data }: ServerEvent): void {
    const payload = JSON.parse(data) as Record<string, unknown>;
    const trialId = typeof payload.trial_id === "string" ? payload.trial_id : null;
    if (kind === "trial.report") {
      if (trialId) this.reported.add(trialId);
    } else {
      this.log.push({ id, kind, payload });
      this.job = true;
      if (kind === "front") this.front = true;
      if (kind.startsWith("job.")) this.stages = true;
      if (trialId) this.takeTrial(kind, trialId);
    }
    this.schedule();
  }

  private takeTrial(kind: string, trialId: string): void {
    if (kind === "trial.dropped") {
      this.changed.delete(trialId);
      this.dropped.add(trialId);
    } else if (kind === "trial.remarks")
      this.remarked.add(trialId); // of one that is over, too
    else if (!this.isOver(trialId)) this.changed.add(trialId);
  }

  /** The past, told again when a page opens: this trial is over and already here. */
  private isOver(trialId: string): boolean {
    const known = this.cache.getQueryData<Trial[]>(keys.trials(this.jobId)) ?? [];
    const trial = known[indexOfNumber(known, numberOf(trialId))];
    return trial !== undefined && isOver(trial.state);
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setTimeout(() => void this.refresh(), BATCH_MS);
  }

  private async refresh(): Promise<void> {
    if (this.isLeft()) return;
    if (this.deletion() === "pending") {
      // Whatever was asked now would meet a job that is gone. Where it stays, it is asked later.
      setTimeout(() => void this.refresh(), BATCH_MS);
      return;
    }
    this.writeLog();
    const stale = [...drain(this.reported)].map((id) => keys.reports(id) as readonly string[]);
    if (this.job) stale.push(keys.job(this.jobId));
    if (this.front) stale.push(keys.pareto(this.jobId));
    if (this.stages) stale.push(keys.stages(this.jobId));
    this.job = this.front = this.stages = false;
    await Promise.allSettled([
      this.patchTrials(),
      ...stale.map((queryKey) => this.cache.invalidateQueries({ queryKey })),
    ]);
    this.scheduled = false;
    if (this.changed.size + this.remarked.size + this.dropped.size + this.reported.size || this.job || this.front)
      this.schedule();
  }

  /** Whether nobody looks any more; a job that is deleted has its page for a moment longer. */
  private isLeft(): boolean {
    return this.signal.aborted || this.deletion() === "success";
  }

  private deletion(): MutationStatus | undefined {
    const mutations = this.cache.getMutationCache().findAll({ mutationKey: keys.deletion(this.jobId) });
    return mutations.at(-1)?.state.status;
  }

  private writeLog(): void {
    const entries = this.log.splice(0);
    if (entries.length === 0) return;
    this.cache.setQueryData<LogEntry[]>(keys.log(this.jobId), (old = []) => [...old, ...entries].slice(-LOG_LENGTH));
  }

  private async patchTrials(): Promise<void> {
    // While the first pieces are still arriving, they would overwrite a patch: wait.
    if (this.cache.isFetching({ queryKey: keys.trials(this.jobId) }) > 0) return;
    const gone = new Set(drain(this.dropped));
    const changes = drain(this.changed).filter((id) => !this.isOver(id));
    const asked = [...new Set([...changes, ...drain(this.remarked)])].filter((id) => !gone.has(id));
    let changed: Trial[];
    try {
      changed = await loadSome(this.jobId, asked.map(numberOf), this.signal);
    } catch {
      for (const id of asked) this.changed.add(id); // asked for again with the next batch
      for (const id of gone) this.dropped.add(id);
      return;
    }
    const found = new Set(changed.map(({ id }) => id));
    for (const id of asked) if (!found.has(id)) gone.add(id); // taken back since, or a confirmation
    if (this.isLeft() || changed.length + gone.size === 0) return;
    this.cache.setQueryData<Trial[]>(keys.trials(this.jobId), (old = []) =>
      mergeTrials(withoutTrials(old, gone), changed),
    );
  }
}

/** Empty a set and return what was in it. */
function drain<T>(set: Set<T>): T[] {
  const items = [...set];
  set.clear();
  return items;
}
