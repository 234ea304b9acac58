/** The shares of a mixture's domains, which sum to one. */
export type Shares = { [domain: string]: number };

/** With another share for one domain: the others keep their proportions, or share evenly where they had nothing. */
export function withShare(shares: Shares, domain: string, share: number): Shares {
  const others = Object.keys(shares).filter((name) => name !== domain);
  const before = others.reduce((sum, name) => sum + (shares[name] ?? 0), 0);
  const left = 1 - share;
  const rest = others.map((name): [string, number] => [
    name,
    before > 0 ? (left * (shares[name] ?? 0)) / before : left / others.length,
  ]);
  const all: Shares = { ...Object.fromEntries(rest), [domain]: share };
  return Object.fromEntries(Object.keys(shares).map((name) => [name, all[name] ?? 0]));
}
