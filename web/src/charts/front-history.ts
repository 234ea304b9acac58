/** When each trial joined a front and when it left it, so that the front of any moment can be shown. */
import type { Direction } from "../api/types";

export interface Membership {
  /** Position of the trial in the order of finishing. */
  joined: number;
  /** Position of the trial that pushed it off; Infinity while it stays. */
  left: number;
}

/**
 * Memberships by position. `points` are the objectives of the trials in the order they finished, null for one that
 * breaks a constraint. Equal points stay side by side, as the service has it. O(trials × size of the front).
 */
export function frontHistory(
  points: readonly (readonly number[] | null)[],
  directions: readonly Direction[],
): ReadonlyMap<number, Membership> {
  const signs = directions.map((direction) => (direction === "maximize" ? 1 : -1));
  const history = new Map<number, Membership>();
  let members: { at: number; values: readonly number[] }[] = [];
  points.forEach((point, at) => {
    if (!point) return;
    const values = point.map((value, objective) => value * (signs[objective] ?? 1));
    if (members.some((member) => dominates(member.values, values))) return;
    members = members.filter((member) => {
      if (!dominates(values, member.values)) return true;
      history.set(member.at, { joined: member.at, left: at });
      return false;
    });
    members.push({ at, values });
    history.set(at, { joined: at, left: Infinity });
  });
  return history;
}

/** At least as good in all, better in one. */
function dominates(a: readonly number[], b: readonly number[]): boolean {
  let better = false;
  for (let at = 0; at < a.length; at++) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference < 0) return false;
    if (difference > 0) better = true;
  }
  return better;
}

/** Positions of the trials that are on the front when those at positions below `finished` have finished. */
export const membersAt = (history: ReadonlyMap<number, Membership>, finished: number): number[] =>
  [...history].filter(([, { joined, left }]) => joined < finished && left >= finished).map(([at]) => at);
