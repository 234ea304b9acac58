/** What the pages read. The query cache is the only place where server data lives. */
import { queryOptions, useInfiniteQuery, useQueries, useQuery } from "@tanstack/react-query";
import {
  getConfirmation,
  getGenerations,
  getJob,
  getPareto,
  getReports,
  getSnippet,
  getStretches,
  getTrial,
  type JobChoice,
  listJobs,
  listMetrics,
  listTasks,
} from "./client";
import type { TaskView } from "./openapi";
import type { Job, MetricInfo, Trial } from "./types";

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
  stages: (jobId: string) => ["stages", jobId] as const,
  log: (jobId: string) => ["log", jobId] as const,
  /** Of the mutation that deletes a job. */
  deletion: (jobId: string) => ["deletion", jobId] as const,
  metrics: ["metrics"] as const,
  tasks: ["tasks"] as const,
};

/** Jobs of every kind and state. */
export const EVERY: JobChoice = { states: [], tags: [], text: "" };

/** The list of jobs, newest first, looked at again every three seconds while the page is visible. */
export const useJobs = (choice: JobChoice) =>
  useInfiniteQuery({
    queryKey: [...keys.jobs, choice],
    queryFn: ({ pageParam, signal }) => listJobs(choice, pageParam, signal),
    placeholderData: (previous) => previous,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next_cursor,
    refetchInterval: 3000,
  });

export const jobOf = (id: string) =>
  queryOptions({ queryKey: keys.job(id), queryFn: ({ signal }) => getJob(id, signal) });
export const paretoOf = (jobId: string) =>
  queryOptions({ queryKey: keys.pareto(jobId), queryFn: ({ signal }) => getPareto(jobId, signal) });
const reportsOf = (trialId: string) =>
  queryOptions({ queryKey: keys.reports(trialId), queryFn: ({ signal }) => getReports(trialId, signal) });

export const useJob = (id: string) => useQuery(jobOf(id));
export const useJobsOf = (ids: readonly string[]) => useQueries({ queries: ids.map(jobOf) });

export const usePareto = (jobId: string) => useQuery(paretoOf(jobId));
export const useParetoOfAll = (jobIds: readonly string[]) => useQueries({ queries: jobIds.map(paretoOf) });

/** Each repetition that ends adds to the report. */
export const useConfirmation = ({ id, progress }: Job, enabled = true) =>
  useQuery({
    queryKey: ["confirmation", id, progress.completed, progress.confirmations?.done],
    queryFn: ({ signal }) => getConfirmation(id, signal),
    enabled,
    placeholderData: (previous) => previous,
  });

export const useReports = (trialId: string) => useQuery(reportsOf(trialId));
export const useReportsOfAll = (trialIds: readonly string[]) => useQueries({ queries: trialIds.map(reportsOf) });

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

/** Where a trial ran; known from its end on. */
export const useEnvironment = ({ id, attempt, state }: Trial) =>
  useQuery({
    queryKey: ["environment", id, attempt, state],
    queryFn: async ({ signal }) => (await getTrial(id, signal)).environment,
    staleTime: Infinity,
  });

/** What happened to the job of late, oldest first. Filled by `useLiveJob`, never fetched. */
export const useLog = (jobId: string) =>
  useQuery<LogEntry[]>({
    queryKey: keys.log(jobId),
    queryFn: () => [],
    enabled: false,
    initialData: [],
    staleTime: Infinity,
    gcTime: Infinity, // until the page is left, whether or not somebody reads it
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

/** Types of task, the same for as long as the page is open. */
export function useTasks() {
  return useQuery({ queryKey: keys.tasks, queryFn: ({ signal }) => listTasks(signal), staleTime: Infinity });
}

/** What the service tells of the type of a job's task; undefined until it has, and of jobs without a task. */
export function useTaskOf(job: Job | undefined): TaskView | undefined {
  const { data } = useTasks();
  const named = (job?.spec["task"] as { type?: string } | undefined)?.type;
  return data?.find(({ name }) => name === named);
}

const none: ReadonlyMap<string, MetricInfo> = new Map();
const byName = (items: MetricInfo[]) => new Map(items.map((item) => [item.name, item]));
