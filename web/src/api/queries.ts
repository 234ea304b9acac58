/** What the pages read. The query cache is the only place where server data lives. */
import { useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import {
  getGenerations,
  getJob,
  getPareto,
  getReports,
  getSnippet,
  getStretches,
  listJobs,
  listMetrics,
  listTrials,
} from "./client";
import type { MetricInfo, Trial } from "./types";

export interface LogEntry {
  id: string;
  kind: string;
  payload: Record<string, unknown>;
}

export const keys = {
  jobs: ["jobs"] as const,
  job: (id: string) => ["job", id] as const,
  trials: (jobId: string) => ["trials", jobId] as const,
  pareto: (jobId: string) => ["pareto", jobId] as const,
  reports: (trialId: string) => ["reports", trialId] as const,
  log: (jobId: string) => ["log", jobId] as const,
  metrics: ["metrics"] as const,
};

/** The list of jobs, newest first, looked at again every three seconds while the page is visible. */
export const useJobs = () =>
  useInfiniteQuery({
    queryKey: keys.jobs,
    queryFn: ({ pageParam, signal }) => listJobs(pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: 3000,
  });

export const useJob = (id: string) => useQuery({ queryKey: keys.job(id), queryFn: ({ signal }) => getJob(id, signal) });

export const usePareto = (jobId: string) =>
  useQuery({ queryKey: keys.pareto(jobId), queryFn: ({ signal }) => getPareto(jobId, signal) });

export const useReports = (trialId: string) =>
  useQuery({ queryKey: keys.reports(trialId), queryFn: ({ signal }) => getReports(trialId, signal) });

/** Changes only when the trial goes on from another's checkpoint, which makes a further attempt. */
export const useStretches = (trialId: string, attempt: number) =>
  useQuery({
    queryKey: ["stretches", trialId, attempt],
    queryFn: ({ signal }) => getStretches(trialId, signal),
    staleTime: Infinity,
  });

/** Written once, with the adapter. */
export const useGenerations = (trialId: string, hasAdapter: boolean) =>
  useQuery({
    queryKey: ["generations", trialId, hasAdapter],
    queryFn: ({ signal }) => getGenerations(trialId, signal),
    enabled: hasAdapter,
    staleTime: Infinity,
  });

/** Code for a configuration never changes. */
export const useSnippet = (trialId: string) =>
  useQuery({
    queryKey: ["snippet", trialId],
    queryFn: ({ signal }) => getSnippet(trialId, signal),
    staleTime: Infinity,
  });

/** All trials of a job by number; grows while it loads, newest first, later only by what `useLiveJob` patches. */
export function useTrials(jobId: string) {
  const cache = useQueryClient();
  return useQuery({
    queryKey: keys.trials(jobId),
    queryFn: ({ signal }) => loadTrials(jobId, signal, (some) => cache.setQueryData(keys.trials(jobId), some)),
    staleTime: Infinity,
    structuralSharing: false, // comparing tens of thousands of trials costs more than it saves
    gcTime: 0, // nobody patches it once the page is left
  });
}

/** Between two looks at what has been loaded so far: drawing tens of thousands of points takes its time. */
const SHOW_EVERY_MS = 2000;

async function loadTrials(jobId: string, signal: AbortSignal, show: (some: Trial[]) => void): Promise<Trial[]> {
  const newestFirst: Trial[] = [];
  let cursor: string | null = null;
  let shownAt = -Infinity;
  do {
    const page = await listTrials(jobId, cursor, signal);
    newestFirst.push(...page.items);
    cursor = page.next_cursor;
    if (cursor && performance.now() - shownAt > SHOW_EVERY_MS) {
      show(newestFirst.toReversed());
      shownAt = performance.now();
    }
  } while (cursor);
  return newestFirst.toReversed();
}

/** What happened to the job of late, oldest first. Filled by `useLiveJob`, never fetched. */
export const useLog = (jobId: string) =>
  useQuery<LogEntry[]>({
    queryKey: keys.log(jobId),
    queryFn: () => [],
    enabled: false,
    initialData: [],
    staleTime: Infinity,
    gcTime: 0,
  });

/** The metric catalogue by name; empty until it has arrived, then units appear. */
export function useMetrics(): ReadonlyMap<string, MetricInfo> {
  const { data } = useQuery({
    queryKey: keys.metrics,
    queryFn: ({ signal }) => listMetrics(signal),
    staleTime: Infinity,
    select: byName,
  });
  return data ?? none;
}

const none: ReadonlyMap<string, MetricInfo> = new Map();
const byName = (items: MetricInfo[]) => new Map(items.map((item) => [item.name, item]));
