/** What the editor starts with: the spec of a job, or of one that goes on from a trial in one of two ways. */
export type Start = { from: string } | { trial: string; how: string } | null;

export function startIn(query: URLSearchParams): Start {
  const [from, trial] = [query.get("from"), query.get("trial")];
  if (trial) return { trial, how: query.get("how") ?? "again" };
  return from === null ? null : { from };
}
