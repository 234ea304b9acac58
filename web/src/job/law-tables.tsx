/** A law of learning rate and batch size: its exponents, and the runs that it rests on. */
import type { LawAnswer } from "../api/types";
import { short } from "../text/numbers";
import { TableFrame } from "../shell/table-frame";

type Run = Record<string, number>;

/** The run with the lowest loss at each combination of `sizes`, smallest sizes first. */
export function bestOfEach(runs: Run[], sizes: string[]): Run[] {
  const best = new Map<string, Run>();
  for (const run of runs) {
    const size = sizes.map((name) => run[name]).join();
    const known = best.get(size);
    if (!known || (run["loss"] ?? Infinity) < (known["loss"] ?? Infinity)) best.set(size, run);
  }
  const order = (a: Run, b: Run): number => {
    for (const name of sizes) {
      const difference = (a[name] ?? 0) - (b[name] ?? 0);
      if (difference !== 0) return difference;
    }
    return 0;
  };
  return [...best.values()].sort(order);
}

export function LawTables({ answer, name, version }: { answer: LawAnswer; name: string; version: number }) {
  const sizes = Object.keys(answer.learning_rate.exponents);
  const columns = [...sizes, "learning_rate", "batch", "loss"];
  return (
    <div className="confirmation">
      <p>
        Kept as {name}, version {version}, from {answer.rows} runs of {answer.cells} sizes. log y = coefficient
        {sizes.map((size) => ` + exponent · log ${size}`)}
      </p>
      <TableFrame>
        <table aria-label="Law">
          <thead>
            <tr>
              <th scope="col">y</th>
              {["coefficient", ...sizes].map((column) => (
                <th key={column} scope="col">
                  {column} ± standard error
                </th>
              ))}
              <th scope="col" className="number">
                error at sizes left out
              </th>
            </tr>
          </thead>
          <tbody>
            {(["learning_rate", "batch"] as const).map((setting) => (
              <tr key={setting}>
                <th scope="row">{setting}</th>
                {[answer[setting].coefficient, ...sizes.map((size) => answer[setting].exponents[size] ?? 0)].map(
                  (value, index) => (
                    <td key={["coefficient", ...sizes][index]}>
                      {short(value)} ± {short(answer[setting].standard_errors[index] ?? 0)}
                    </td>
                  ),
                )}
                <td className="number">{short(answer[setting].left_out_error)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
      {answer.batch_edge && (
        <p>
          No batch among those tried is clearly the best, so the law tells the learning rate at the {answer.batch_edge}{" "}
          one. The best batch may lie beyond.
        </p>
      )}
      <h3>Best run of each size</h3>
      <TableFrame>
        <table aria-label="Best runs">
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column} scope="col" className="number">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {bestOfEach(answer.runs, sizes).map((run) => (
              <tr key={sizes.map((size) => run[size]).join()}>
                {columns.map((column) => (
                  <td key={column} className="number">
                    {short(run[column] ?? 0)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </TableFrame>
    </div>
  );
}
