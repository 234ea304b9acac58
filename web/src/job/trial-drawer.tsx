/** One trial in full, beside the page. Escape closes it and gives the focus back. */
import { type ReactNode, useEffect, useRef } from "react";
import { remarkTrial } from "../api/client";
import { useEnvironment, useGenerations, useStretches } from "../api/queries";
import type { Job, MetricInfo, Trial } from "../api/types";
import { Remarks } from "../remarks/tags";
import { CopyButton } from "../shell/copy-button";
import { setQuery } from "../shell/router";
import { StateBadge } from "../shell/state-badge";
import { useNow } from "../shell/use-now";
import { configValue } from "../text/config";
import { engineRemark } from "../text/engine";
import { metricValue } from "../text/numbers";
import { duration, moment, secondsBetween } from "../text/time";
import { toYaml } from "../text/yaml";
import { parseNumbers, toggleNumber } from "./comparison";
import { isPlanned } from "./kind";
import { TrialLog } from "./job-log";
import { LayerMap } from "./layer-map";
import { LearningCurves } from "./learning-curves";
import { Pair, Pairs } from "./pairs";
import { AdapterDownload, Snippet } from "./trial-adapter";
import { TrialAnswers } from "./trial-answers";
import { TrialLineage } from "./trial-lineage";
import { TrialRelations } from "./trial-relations";
import { FrontMark, ReferenceMark } from "./trial-marks";

interface Props {
  job: Job;
  trial: Trial;
  onFront: boolean;
  /** Numbers of the trials that stand side by side, as in the address. */
  chosen: string | null;
  metrics: ReadonlyMap<string, MetricInfo>;
  onClose: () => void;
}

export function TrialDrawer({ job, trial, onFront, chosen, metrics, onClose }: Props) {
  const drawer = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    drawer.current?.focus({ preventScroll: true });
    return () => {
      if (before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
    };
  }, []);
  const objectives = job.objectives.map((objective) => objective.metric);
  const metric = (name: string) => ({
    name,
    hint: metrics.get(name)?.description,
    value: metricValue(trial.metrics[name], metrics.get(name)?.unit),
  });
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
        {onFront && <FrontMark job={job} />}
        <ReferenceMark trial={trial} />
        <button
          type="button"
          className="small"
          aria-pressed={parseNumbers(chosen).includes(trial.number)}
          onClick={() => setQuery({ compare: toggleNumber(chosen, trial.number) })}
        >
          Compare
        </button>
        <button type="button" className="close" aria-label="Close" onClick={onClose}>
          ×
        </button>
      </header>
      <Reason trial={trial} />
      <dl className="headline">
        {objectives.map((name) => (
          <Pair key={name} {...metric(name)} />
        ))}
      </dl>
      <Remarks about={`trial ${trial.number}`} said={trial} onSave={(said) => remarkTrial(trial.id, said)} />
      <AdapterDownload trial={trial} />
      <LayerMap trial={trial} />
      <Section title="Learning curves">
        <LearningCurves trial={trial} />
      </Section>
      {others.length > 0 && (
        <Section title="Metrics">
          <Pairs entries={others.map(metric)} />
        </Section>
      )}
      <Section title="Configuration" aside={<CopyButton text={toYaml(trial.config)} what="configuration" />}>
        <Pairs
          mono
          entries={Object.entries(trial.config).map(([name, value]) => ({ name, value: configValue(value) }))}
        />
      </Section>
      <Answers trial={trial} />
      <TrialRelations {...{ job, trial, metrics }} />
      <Lineage trial={trial} />
      {!isPlanned(job) && (
        <Section title="Code">
          <Snippet trialId={trial.id} />
        </Section>
      )}
      <Section title="Run">
        <Run trial={trial} />
      </Section>
      <Environment trial={trial} />
      <Section title="Log">
        <TrialLog job={job} trialId={trial.id} />
      </Section>
    </aside>
  );
}

/** Why it failed, loudly; why it stopped, quietly. */
function Reason({ trial }: { trial: Trial }) {
  if (!trial.reason) return null;
  if (trial.state !== "failed") return <p className="muted">{trial.reason}</p>;
  return (
    <p className="reason" role="alert">
      {trial.reason}
    </p>
  );
}

/** Only for trials that went on from another's checkpoint: the others have no past but their own. */
function Lineage({ trial }: { trial: Trial }) {
  const { data } = useStretches(trial.id, trial.attempt);
  if (!data || data.length < 2) return null;
  return (
    <Section title="Lineage">
      <TrialLineage stretches={data} />
    </Section>
  );
}

/** Only for trials of a job that asked for answers. */
function Answers({ trial }: { trial: Trial }) {
  const { data } = useGenerations(trial.id, trial.has_adapter);
  if (!data || data.rows === 0) return null;
  return (
    <Section title="Answers">
      <TrialAnswers found={data} />
    </Section>
  );
}

function Environment({ trial }: { trial: Trial }) {
  const { data = {} } = useEnvironment(trial);
  const entries = Object.entries(data).map(([name, value]) => ({ name, value }));
  if (entries.length === 0) return null;
  return (
    <Section title="Environment">
      <Pairs mono entries={entries} />
    </Section>
  );
}

function Section({ title, aside, children }: { title: string; aside?: ReactNode; children: ReactNode }) {
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

function Run({ trial }: { trial: Trial }) {
  const now = useNow(1000);
  const { data: environment } = useEnvironment(trial);
  const took = secondsBetween(trial.started_at, trial.finished_at, now);
  const entries = [
    { name: "suggested by", value: trial.origin },
    { name: "engine", value: [trial.engine ?? "–", engineRemark(trial, environment)].filter(Boolean).join(": ") },
    { name: "attempt", value: trial.attempt },
    { name: "seed", value: trial.seed },
    { name: "worker", value: trial.worker_id ?? "–" },
    { name: "started", value: trial.started_at ? moment(trial.started_at) : "–" },
    { name: "took", value: took === null ? "–" : duration(took) },
  ];
  return <Pairs entries={entries} />;
}
