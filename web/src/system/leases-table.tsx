/** Who works on what, and until when it is believed to live. */
import type { LeaseView } from "../api/openapi";
import { jobPath, trialPath } from "../shell/router";
import { useNow } from "../shell/use-now";
import { age, clock } from "../text/time";
import { TableFrame } from "../shell/table-frame";

interface Props {
  title: string;
  none: string;
  leases: readonly LeaseView[];
}

export function LeasesTable({ title, none, leases }: Props) {
  const now = useNow(1000);
  return (
    <section>
      <h2>{title}</h2>
      {leases.length === 0 ? (
        <p className="muted">{none}</p>
      ) : (
        <TableFrame>
          <table aria-label={title}>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Works on</th>
                <th scope="col">Since</th>
                <th scope="col">Lease until</th>
              </tr>
            </thead>
            <tbody>
              {leases.map(({ holder, target, since, until }) => (
                <tr key={`${holder} ${target}`}>
                  <th scope="row" className="mono">
                    {holder}
                  </th>
                  <td>
                    <a href={target.includes("-") ? trialPath(target) : jobPath(target)}>{target}</a>
                  </td>
                  <td>{since && age(since, now)}</td>
                  <td>{clock(until)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
    </section>
  );
}
