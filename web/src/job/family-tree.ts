/** Population-based training as a tree: who copied whom, and the course of training behind the weights of a trial. */

export interface Copy {
  number: number;
  donor: number;
  epoch: number;
  changed: Readonly<Record<string, unknown>>;
}

/** Trial `number` trained from one epoch to another; what it then had came from `donor`, null from itself. */
export interface Branch {
  number: number;
  from: number;
  to: number;
  donor: number | null;
}

/**
 * One branch for each stretch between copies. `copies` are oldest first; `reached` says how far each trial has come, in
 * epochs.
 */
export function branches(copies: readonly Copy[], reached: ReadonlyMap<number, number>): Branch[] {
  const members = new Set(copies.flatMap(({ number, donor }) => [number, donor]));
  return [...members]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const own = copies.filter((copy) => copy.number === number);
      const starts = [{ epoch: 0, donor: null as number | null }, ...own];
      const last = Math.max(reached.get(number) ?? 0, ...own.map((copy) => copy.epoch), ...given(copies, number));
      return starts.map(({ epoch, donor }, at) => ({ number, from: epoch, to: starts[at + 1]?.epoch ?? last, donor }));
    });
}

const given = (copies: readonly Copy[], donor: number): number[] =>
  copies.filter((copy) => copy.donor === donor).map((copy) => copy.epoch);

/** How far trial `number` has come, in epochs. */
export const reachedBy = (all: readonly Branch[], number: number): number =>
  Math.max(0, ...all.filter((branch) => branch.number === number).map(({ to }) => to));

/** The branches that led to the present weights of trial `number`, oldest first; each ends where the next one begins. */
export function ancestry(all: readonly Branch[], number: number): Branch[] {
  const found: Branch[] = [];
  let [at, until] = [number, Infinity];
  for (;;) {
    // A trial that was copied at an epoch had its own copy, if any, before it.
    const own = all.filter((branch) => branch.number === at && (branch.from < until || branch.from === 0));
    const branch = own.at(-1);
    if (!branch) return found;
    found.unshift({ ...branch, to: Math.min(branch.to, until) });
    if (branch.donor === null || found.length > all.length) return found;
    [at, until] = [branch.donor, branch.from];
  }
}
