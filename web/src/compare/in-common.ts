/**
 * The names that most of several lists have, at least two of them (of one list: all of its names), in the order in which
 * they come first. Lists that are empty still say nothing.
 */
export function inCommon(lists: readonly (readonly string[])[]): string[] {
  const telling = lists.filter((names) => names.length > 0);
  const counts = new Map<string, number>();
  for (const names of telling) for (const name of new Set(names)) counts.set(name, (counts.get(name) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  if (most < Math.min(2, telling.length)) return [];
  return [...counts.keys()].filter((name) => counts.get(name) === most);
}
