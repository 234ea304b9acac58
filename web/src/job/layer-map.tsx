/** Where a trial's adapter sits: layers down, modules across, in each cell the numbers that it keeps there. */
import { useQuery } from "@tanstack/react-query";
import { getLayers } from "../api/client";
import type { SiteView } from "../api/openapi";
import type { Trial } from "../api/types";
import { compact, integer } from "../text/numbers";
import { TableFrame } from "../shell/table-frame";

export function LayerMap({ trial, onSelect }: { trial: Trial; onSelect?: (number: number) => void }) {
  const { data } = useQuery({
    queryKey: ["layers", trial.id, trial.has_adapter],
    queryFn: ({ signal }) => getLayers(trial.id, signal),
    enabled: trial.has_adapter,
    staleTime: Infinity,
  });
  if (!data || data.length === 0) return null;
  return (
    <section>
      <h3>
        Where{" "}
        {onSelect ? (
          <button type="button" className="link" onClick={() => onSelect(trial.number)}>
            trial {trial.number}
          </button>
        ) : (
          `trial ${trial.number}`
        )}{" "}
        is adapted
      </h3>
      <LayerTable sites={data} number={trial.number} />
    </section>
  );
}

/** Sites as rows of layers by columns of modules. What is beside the layers has a row of its own. */
export function grid(sites: readonly SiteView[]) {
  const modules = [...new Set(sites.map((site) => site.module))].sort();
  const layers = [...new Set(sites.map((site) => site.layer))].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
  const numbers = new Map(sites.map((site) => [`${site.layer} ${site.module}`, site.numbers]));
  return {
    modules,
    rows: layers.map((layer) => ({
      name: layer === null ? "beside" : `layer ${layer}`,
      cells: modules.map((module) => numbers.get(`${layer} ${module}`) ?? 0),
    })),
    most: Math.max(...sites.map((site) => site.numbers)),
  };
}

function LayerTable({ sites, number }: { sites: readonly SiteView[]; number: number }) {
  const { modules, rows, most } = grid(sites);
  return (
    <TableFrame>
      <table className="layer-map" aria-label={`Numbers of trial ${number} by layer and module`}>
        <thead>
          <tr>
            <td />
            {modules.map((module) => (
              <th key={module} scope="col" className="mono">
                {module}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ name, cells }) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {cells.map((cell, at) => (
                <td key={modules[at]} className="number" title={integer(cell)} data-empty={cell === 0 || undefined}>
                  {cell === 0 ? "–" : compact(cell)}
                  <span className="fill" style={{ inlineSize: `${(100 * cell) / most}%` }} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </TableFrame>
  );
}
