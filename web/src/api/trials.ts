/** All trials of a job. Apart from the other queries: only the page of a job needs what reads Arrow. */
import { type QueryClient, queryOptions, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { query, request } from "./client";
import { keys } from "./queries";
import { trialsFrom } from "./trial-columns";
import type { Trial } from "./types";

/** The first piece is short: it is what the reader waits for. */
const PIECES = [1000, 25_000] as const;
/** Trials that one request may name. */
const NAMED = 200;

const load = async (jobId: string, parameters: string, signal?: AbortSignal): Promise<Trial[]> =>
  trialsFrom(await (await request(`jobs/${jobId}/columns?${parameters}`, { signal })).arrayBuffer(), jobId);

/** All trials of a job by number; grows while it loads, newest first, later only by what `useLiveJob` patches. */
const trialsOf = (cache: QueryClient, jobId: string) =>
  queryOptions({
    queryKey: keys.trials(jobId),
    queryFn: ({ signal }) => loadTrials(jobId, signal, (some) => cache.setQueryData(keys.trials(jobId), some)),
    staleTime: Infinity,
    structuralSharing: false, // comparing tens of thousands of trials costs more than it saves
    gcTime: 0, // nobody patches it once the page is left
  });

export const useTrials = (jobId: string) => useQuery(trialsOf(useQueryClient(), jobId));

/** Those of several jobs. */
export function useTrialsOfAll(jobIds: readonly string[]) {
  const cache = useQueryClient();
  return useQueries({ queries: jobIds.map((id) => trialsOf(cache, id)) });
}

async function loadTrials(jobId: string, signal: AbortSignal, show: (some: Trial[]) => void): Promise<Trial[]> {
  let loaded: Trial[] = [];
  for (let limit: number = PIECES[0]; ; limit = PIECES[1]) {
    const older = await load(jobId, query({ limit, before: loaded[0]?.number }), signal);
    loaded = loaded.length ? [...older, ...loaded] : older;
    if (older.length < limit) return loaded;
    show(loaded);
  }
}

/** Some trials by number. Those that are no more are left out, and so are confirmations. */
export async function loadSome(jobId: string, numbers: readonly number[], signal: AbortSignal): Promise<Trial[]> {
  const pieces = Array.from({ length: Math.ceil(numbers.length / NAMED) }, (_, at) =>
    numbers.slice(at * NAMED, (at + 1) * NAMED),
  );
  const named = (piece: number[]) => new URLSearchParams(piece.map((number) => ["number", String(number)])).toString();
  return (await Promise.all(pieces.map((piece) => load(jobId, named(piece), signal)))).flat();
}
