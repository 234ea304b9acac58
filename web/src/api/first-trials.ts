/** The newest trials of a job, as bytes: what its page shows first. Read elsewhere, so that asking needs no reader. */
import { queryOptions } from "@tanstack/react-query";
import { query, request } from "./client";

/** Short: it is what the reader waits for. */
export const FIRST = 1000;

/** Trials as typed columns. */
export const columnsOf = async (jobId: string, parameters: string, signal?: AbortSignal): Promise<ArrayBuffer> =>
  (await request(`jobs/${jobId}/columns?${parameters}`, { signal })).arrayBuffer();

/** Asked for once, by whoever opens the page or by the page itself; then it is of no more use. */
export const firstTrialsOf = (jobId: string) =>
  queryOptions({
    queryKey: ["first-trials", jobId],
    queryFn: () => columnsOf(jobId, query({ limit: FIRST })),
    staleTime: 5000,
    gcTime: 10_000,
    structuralSharing: false,
  });
