/** What the pages read. The query cache is the only place where server data lives. */
import { type QueryClient, queryOptions, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { getJob, getPareto, getReports, listJobs, listMetrics, listTrials } from "./client";
import { mergeTrials } from "./trial-set";
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

export const useJob = (id: string) =>
  useQuery({ queryKey: keys.job(id), queryFn: ({ signal }) => getJob(id, signal) });

export const usePareto = (jobId: string) =>
  useQuery({ queryKey: keys.pareto(jobId), queryFn: ({ signal }) => getPareto(jobId, signal) });

export const useReports = (trialId: string) =>
  useQuery({ queryKey: keys.reports(trialId), queryFn: ({ signal }) => getReports(trialId, signal) });

/** All trials of a job by number; grows page by page while it loads, later only by what `useLiveJob` patches. */
export function useTrials(jobId: string) {
  const cache = useQueryClient();
  return useQuery(trialsOptions(jobId, cache));
}

export const trialsOptions = (jobId: string, cache: QueryClient) =>
  queryOptions({
    queryKey: keys.trials(jobId),
    staleTime: Infinity,
    gcTime: 0, // nobody patches it once the page is left
    queryFn: async ({ signal }): Promise<Trial[]> => {
      let trials: Trial[] = [];
      let cursor: string | null = null;
      do {
        const page = await listTrials(jobId, cursor, signal);
        trials = mergeTrials(trials, page.items);
        cursor = page.next_cursor;
        if (cursor) cache.setQueryData(keys.trials(jobId), trials);
      } while (cursor);
      return trials;
    },
  });

/** What happened to the job since this page was opened, oldest first. Filled by `useLiveJob`, never fetched. */
export const useLog = (jobId: string) =>
  useQuery<LogEntry[]>({ queryKey: keys.log(jobId), queryFn: () => [], enabled: false, initialData: [], staleTime: Infinity, gcTime: 0 });

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
