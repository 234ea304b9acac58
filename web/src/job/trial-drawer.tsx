/** One trial in full, beside the page. Escape closes it and gives the focus back. */
import { useEffect, useRef, useState } from "react";
import { getAdapter } from "../api/client";
import type { Job, MetricInfo, Trial } from "../api/types";
import { CopyButton } from "../shell/copy-button";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { configValue } from "../text/config";
import { metricValue } from "../text/numbers";
import { duration, moment, secondsBetween } from "../text/time";
import { toYaml } from "../text/yaml";
import { LearningCurves } from "./learning-curves";

interface Props {
  job: Job;
  trial: Trial;
  onFront: boolean;
  metrics: ReadonlyMap<string, MetricInfo>;
  onClose: () => void;
}

export function TrialDrawer({ job, trial, onFront, metrics, onClose }: Props) {
  const drawer = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    drawer.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const objectives = job.objectives.map((objective) => objective.metric);
  const others = Object.keys(trial.metrics)
    .filter((name) => !objectives.includes(name))
    .sort();
  return (
    <aside
      ref={drawer}
      className="drawer"
      aria-labelledby="drawer-title"
      tabIndex={-1}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header>
        <h2 id="drawer-title">Trial {trial.number}</h2>
        <StateBadge state={trial.state} />
        {onFront && (
          <span className="mark" data-mark="front">
            front
          </span>
        )}
        {trial.origin === "reference" && (
          <span className="mark" data-mark="reference">
            {trial.label ?? "reference"}
          </span>
        )}
        <button type="button" className="close" aria-label="Close" onClick={onClose}>
          ×
        </button>
      </header>
      {trial.reason && (
        <p
          className={trial.state === "failed" ? "reason" : "muted"}
          role={trial.state === "failed" ? "alert" : undefined}
        >
          {trial.reason}
        </p>
      )}
      <dl className="headline">
        {objectives.map((name) => (
          <Pair key={name} name={name} value={metricValue(trial.metrics[name], metrics.get(name)?.unit)} />
        ))}
      </dl>
      <Adapter trial={trial} />
      <Section title="Learning curves">
        <LearningCurves trial={trial} />
      </Section>
      {others.length > 0 && (
        <Section title="Metrics">
          <dl className="pairs">
            {others.map((name) => (
              <Pair
                key={name}
                name={name}
                hint={metrics.get(name)?.description}
                value={metricValue(trial.metrics[name], metrics.get(name)?.unit)}
              />
            ))}
          </dl>
        </Section>
      )}
      <Section title="Configuration" aside={<CopyButton text={toYaml(trial.config)} what="configuration" />}>
        <dl className="pairs mono">
          {Object.entries(trial.config).map(([name, value]) => (
            <Pair key={name} name={name} value={configValue(value)} />
          ))}
        </dl>
      </Section>
      <Section title="Run">
        <Run trial={trial} />
      </Section>
      {Object.keys(trial.environment).length > 0 && (
        <Section title="Environment">
          <dl className="pairs mono">
            {Object.entries(trial.environment).map(([name, value]) => (
              <Pair key={name} name={name} value={value} />
            ))}
          </dl>
        </Section>
      )}
    </aside>
  );
}

function Section({ title, aside, children }: { title: string; aside?: React.ReactNode; children: React.ReactNode }) {
  return (
    <section>
      <h3>
        {title}
        {aside}
      </h3>
      {children}
    </section>
  );
}

function Pair({ name, value, hint }: { name: string; value: React.ReactNode; hint?: string | undefined }) {
  return (
    <div>
      <dt title={hint}>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Run({ trial }: { trial: Trial }) {
  const now = useNow(1000);
  const took = secondsBetween(trial.started_at, trial.finished_at, now);
  return (
    <dl className="pairs">
      <Pair name="suggested by" value={trial.origin} />
      <Pair name="engine" value={trial.engine ? [trial.engine, trial.engine_reason].filter(Boolean).join(": ") : "–"} />
      <Pair name="attempt" value={trial.attempt} />
      <Pair name="seed" value={trial.seed} />
      <Pair name="worker" value={trial.worker_id ?? "–"} />
      <Pair name="started" value={trial.started_at ? moment(trial.started_at) : "–"} />
      <Pair name="took" value={took === null ? "–" : duration(took)} />
    </dl>
  );
}

function Adapter({ trial }: { trial: Trial }) {
  const [problem, setProblem] = useState("");
  if (!trial.has_adapter) return null;
  const download = async () => {
    setProblem("");
    try {
      save(await getAdapter(trial.id), `${trial.id}.zip`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <div className="adapter">
      <button type="button" className="primary" onClick={() => void download()}>
        Download adapter
      </button>
      <code>peftsearch export {trial.id} adapter/</code>
      {problem && (
        <p className="reason" role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
