/** The data of the job as it will be used: the first rows, how labels are balanced, how long texts are. */
import type { SplitView } from "../api/openapi";
import { integer, percent, short } from "../text/numbers";
import { TableFrame } from "../shell/table-frame";

export function DataPreview({ splits }: { splits: readonly SplitView[] }) {
  if (splits.length === 0) return null;
  return (
    <section aria-label="Data">
      <h2>Data</h2>
      {splits.map((split) => (
        <Split key={split.name} split={split} />
      ))}
    </section>
  );
}

function Split({ split }: { split: SplitView }) {
  const { lengths, spread, labels } = split;
  return (
    <details open={split.name.startsWith("train")}>
      <summary>
        {split.name}: {integer(split.rows)} rows
        {lengths &&
          `, ${short(lengths.median)} ${lengths.unit} in the middle, ${short(lengths.p95)} at the 95th percentile`}
      </summary>
      {lengths?.cut ? (
        <p className="stale">{percent(lengths.cut)} of the rows are longer than max_length and will be cut.</p>
      ) : null}
      {spread && (
        <p>
          {spread.low === spread.high
            ? `All targets are ${short(spread.low)}.`
            : `Targets from ${short(spread.low)} to ${short(spread.high)}, ${short(spread.median)} in the middle.`}
        </p>
      )}
      {labels.length > 0 && <Balance labels={labels} />}
      {split.rendered.length > 0 ? <Rendered split={split} /> : <FirstRows split={split} />}
    </details>
  );
}

function FirstRows({ split }: { split: SplitView }) {
  return (
    <TableFrame>
      <table className="preview" aria-label={`First rows of ${split.name}`}>
        <thead>
          <tr>
            {split.columns.map((column) => (
              <th key={column} scope="col">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {split.examples.map((example, index) => (
            <tr key={index}>
              {example.map((cell, column) => (
                <td key={column} className={Number.isNaN(Number(cell)) ? undefined : "number"}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}

/** Rows as the model reads them, with what it learns to write marked where it stands. */
function Rendered({ split }: { split: SplitView }) {
  const kinds = [...new Set(split.rendered.flat().flatMap(({ learnt }) => learnt || []))];
  return (
    <>
      <p className="muted">
        The {split.columns[0]}. {kinds.length > 1 ? "Its answers are" : "What is learnt is"} marked:{" "}
        {kinds.map((kind) => (
          <span key={kind}>
            <mark data-learnt={kind}>{kind}</mark>{" "}
          </span>
        ))}
      </p>
      <ol className="rendered" aria-label={`First rows of ${split.name}`}>
        {split.rendered.map((pieces, row) => (
          <li key={row}>
            {pieces.map(({ text, learnt }, at) =>
              learnt ? (
                <span key={at} className={kinds.length > 1 ? "answer" : undefined}>
                  {kinds.length > 1 && <b>{learnt}: </b>}
                  <mark data-learnt={learnt} title={learnt}>
                    {text}
                  </mark>
                </span>
              ) : (
                <span key={at}>{text}</span>
              ),
            )}
          </li>
        ))}
      </ol>
    </>
  );
}

function Balance({ labels }: { labels: SplitView["labels"] }) {
  const total = labels.reduce((sum, { count }) => sum + count, 0) || 1;
  const most = Math.max(...labels.map(({ count }) => count), 1);
  return (
    <table className="balance" aria-label="Label balance">
      <tbody>
        {labels.map(({ label, count }) => (
          <tr key={label}>
            <th scope="row">{label}</th>
            <td className="bar-cell">
              <span className="bar" style={{ width: `${(100 * count) / most}%` }} />
            </td>
            <td className="number">{integer(count)}</td>
            <td className="number muted">{percent(count / total)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
