/** The service as an operator sees it: work under way, what waits, room, versions, tokens. */
import { useQuery } from "@tanstack/react-query";
import type { SystemView } from "../api/openapi";
import { getSystem } from "../api/system";
import { Pairs } from "../job/pairs";
import { Failure } from "../shell/failure";
import { bytes, integer, percent } from "../text/numbers";
import { LeasesTable } from "./leases-table";
import { NodesTable } from "./nodes-table";
import { TokensPanel } from "./tokens-panel";

/** How often the page looks again while it is visible. */
const EVERY_MS = 5000;

export function SystemPage() {
  const system = useQuery({
    queryKey: ["system"],
    queryFn: ({ signal }) => getSystem(signal),
    refetchInterval: EVERY_MS,
  });
  if (system.error && !system.data) return <Failure error={system.error} what="The system" />;
  return (
    <div className="page system">
      <title>System · peftsearch</title>
      <div className="page-head">
        <h1>System</h1>
        {system.error && (
          <p className="stale" role="status">
            Not current: {system.error.message}. Trying again…
          </p>
        )}
      </div>
      {system.data ? (
        <Found system={system.data} />
      ) : (
        <p className="muted" role="status">
          Loading…
        </p>
      )}
    </div>
  );
}

function Found({ system }: { system: SystemView }) {
  return (
    <>
      <div className="system-facts">
        <section className="panel" aria-label="Queue">
          <h2>Queue</h2>
          <Pairs entries={[...counts("jobs", system.jobs), ...counts("trials", system.trials)]} />
        </section>
        <section className="panel" aria-label="Machine">
          <h2>Machine</h2>
          <Pairs
            entries={[
              { name: "load", value: `${system.load} on ${system.cores} cores` },
              { name: "Ray", value: system.ray },
              ...system.storage.map(({ what, path, free_bytes, total_bytes }) => ({
                name: `${what} disk`,
                value: `${bytes(free_bytes)} free, ${percent(free_bytes / total_bytes)}`,
                hint: path,
              })),
            ]}
          />
        </section>
        <section className="panel" aria-label="Database">
          <h2>Database</h2>
          <Pairs
            entries={[
              { name: "address", value: system.database.url },
              { name: "schema", value: system.database.schema_revision ?? "–" },
              ...(system.database.size_bytes === null
                ? []
                : [{ name: "size", value: bytes(system.database.size_bytes) }]),
            ]}
          />
        </section>
        <section className="panel" aria-label="Versions">
          <h2>Versions</h2>
          <Pairs entries={Object.entries(system.versions).map(([name, value]) => ({ name, value }))} />
        </section>
        <section className="panel" aria-label="Settings">
          <h2>Settings</h2>
          <Pairs
            entries={[
              { name: "tokens", value: system.tokens_asked ? "asked for" : "not asked for: loopback only" },
              { name: "hub", value: system.hub },
              { name: "requests a second", value: system.rate_limit ? integer(system.rate_limit) : "no limit" },
            ]}
          />
        </section>
      </div>
      <LeasesTable title="Conductors" none="No conductor drives a job." leases={system.conductors} />
      <NodesTable nodes={system.nodes} />
      <LeasesTable title="Workers" none="Nobody trains a trial." leases={system.workers} />
      <TokensPanel />
    </>
  );
}

const counts = (what: string, byState: { [state: string]: number }) =>
  Object.entries(byState)
    .filter(([, count]) => count > 0)
    .map(([state, count]) => ({ name: `${state} ${what}`, value: integer(count) }));
