/** All trials of a job. Apart from the other queries: only the page of a job needs what reads Arrow. */
import { type QueryClient, queryOptions, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { query } from "./client";
import { columnsOf, FIRST, firstTrialsOf } from "./first-trials";
import { keys } from "./queries";
import { trialsFrom } from "./trial-columns";
import type { Trial } from "./types";

/** Each piece is made while the one before is read. */
const PIECE = 10_000;
/**
 * What is there so far is shown this often, and not just before the end: to draw thousands of trials takes as long as to
 * fetch more of them.
 */
const SHOWN_EVERY_MS = 2000;
/** Trials that one request may name. */
const NAMED = 200;

const load = async (jobId: string, parameters: string, signal?: AbortSignal): Promise<Trial[]> =>
  trialsFrom(await columnsOf(jobId, parameters, signal), jobId);

/** All trials of a job by number; grows while it loads, newest first, later only by what `useLiveJob` patches. */
export const trialsOf = (cache: QueryClient, jobId: string) =>
  queryOptions({
    queryKey: keys.trials(jobId),
    queryFn: ({ signal }) => loadTrials(cache, jobId, signal),
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

async function loadTrials(cache: QueryClient, jobId: string, signal: AbortSignal): Promise<Trial[]> {
  let loaded = trialsFrom(await cache.fetchQuery(firstTrialsOf(jobId)), jobId);
  let before = loaded[0]?.number ?? 0;
  if (loaded.length < FIRST || before === 0) return loaded;
  const piece = (end: number) => columnsOf(jobId, query({ limit: PIECE, before: end }), signal);
  let shown = Number.NEGATIVE_INFINITY;
  for (let sent = piece(before); before > 0;) {
    const last = loaded.length > FIRST && before <= 2 * PIECE;
    if (performance.now() - shown > SHOWN_EVERY_MS && !last) {
      cache.setQueryData(keys.trials(jobId), loaded);
      shown = performance.now();
    }
    const [here, start] = [await sent, Math.max(0, before - PIECE)];
    // While this piece is read the next one is on its way, and no two are: a service makes two at once in the time of
    // three. Numbers may have gaps, so a piece may begin with what is here.
    if (start > 0) sent = piece(start);
    sent.catch(() => undefined); // told by whoever waits for it
    const older = trialsFrom(here, jobId).filter(({ number }) => number >= start);
    loaded = [...older, ...loaded];
    before = start;
  }
  return loaded;
}

/** Some trials by number. Those that are no more are left out, and so are confirmations. */
export async function loadSome(jobId: string, numbers: readonly number[], signal: AbortSignal): Promise<Trial[]> {
  const pieces = Array.from({ length: Math.ceil(numbers.length / NAMED) }, (_, at) =>
    numbers.slice(at * NAMED, (at + 1) * NAMED),
  );
  const named = (piece: number[]) => new URLSearchParams(piece.map((number) => ["number", String(number)])).toString();
  return (await Promise.all(pieces.map((piece) => load(jobId, named(piece), signal)))).flat();
}
