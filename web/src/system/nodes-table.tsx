/** The machines that conductors train on: what is taken of each, and how full its GPUs are. */
import type { NodeView, ResourceView } from "../api/openapi";
import { useNow } from "../shell/use-now";
import { bytes, percent, short } from "../text/numbers";
import { age } from "../text/time";
import { TableFrame } from "../shell/table-frame";

/** What Ray counts in bytes. */
const IN_BYTES = ["memory", "object_store_memory"];

export function NodesTable({ nodes }: { nodes: readonly NodeView[] }) {
  const now = useNow(1000);
  return (
    <section>
      <h2>Ray nodes</h2>
      {nodes.length === 0 ? (
        <p className="muted">No conductor has looked at its machines within the last minute.</p>
      ) : (
        <TableFrame>
          <table aria-label="Ray nodes">
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Conductor</th>
                <th scope="col">Taken by trials</th>
                <th scope="col">GPU memory</th>
                <th scope="col">Seen</th>
              </tr>
            </thead>
            <tbody>
              {nodes.map((node, at) => (
                <tr key={`${node.conductor} ${node.name} ${at}`}>
                  <th scope="row" className="mono">
                    {node.name}
                    {!node.alive && <span className="muted"> (gone)</span>}
                  </th>
                  <td className="mono">{node.conductor}</td>
                  <td>
                    <Shares of={node.name} items={node.resources} />
                  </td>
                  <td>
                    {node.gpus.length ? <Shares of={node.name} items={node.gpus} inBytes /> : <GpuWords node={node} />}
                  </td>
                  <td>{age(node.seen_at, now)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </TableFrame>
      )}
    </section>
  );
}

function GpuWords({ node }: { node: NodeView }) {
  const has = node.resources.some(({ name, total }) => name === "GPU" && total > 0);
  return <span className="muted">{has ? "the driver has not answered yet" : "no GPU"}</span>;
}

function Shares({ of, items, inBytes = false }: { of: string; items: readonly ResourceView[]; inBytes?: boolean }) {
  return (
    <ul className="shares">
      {items.map(({ name, used, total }, at) => {
        const text = inBytes || IN_BYTES.includes(name) ? bytes : short;
        return (
          <li key={`${name} ${at}`}>
            <span className="mono">{name}</span>{" "}
            <meter min={0} max={total || 1} value={used} aria-label={`${name} of ${of}`}>
              {percent(used / (total || 1))}
            </meter>{" "}
            {text(used)} of {text(total)}
          </li>
        );
      })}
    </ul>
  );
}
