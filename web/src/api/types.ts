/** The JSON shapes of the REST API, as far as the dashboard reads them. */

export type JobState = "queued" | "running" | "paused" | "completed" | "failed" | "cancelled";
export type TrialState = "queued" | "running" | "paused" | "completed" | "stopped" | "failed";
export type TrialOrigin = "reference" | "optimizer" | "user" | "import" | "confirmation" | "design";
export type Direction = "maximize" | "minimize";
export type JobAction = "pause" | "resume" | "cancel";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Config = Record<string, Json>;
/** `null` is a value that is not a finite number, such as a NaN loss. */
export type Metrics = Record<string, number | null>;

export interface Objective {
  metric: string;
  direction: Direction;
}

export interface Progress {
  trials_total: number;
  queued: number;
  running: number;
  paused: number;
  completed: number;
  stopped: number;
  failed: number;
  /** Of all training, what open trials have reached and confirmations included; 0 to 1. */
  share: number;
  confirmations: { total: number; done: number } | null;
  seconds_left: number | null;
}

export interface Job {
  id: string;
  name: string;
  state: JobState;
  reason: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  spec: { [key: string]: Json };
  progress: Progress;
  front_size: number;
  /** The trial that leads by the first objective; `best` is what it reached. */
  best_trial: string | null;
  best: Metrics;
  objectives: Objective[];
}

export interface Trial {
  id: string;
  job_id: string;
  number: number;
  state: TrialState;
  origin: TrialOrigin;
  label: string | null;
  /** The trial whose configuration a confirmation trains again. */
  confirms: string | null;
  config: Config;
  seed: number;
  attempt: number;
  metrics: Metrics;
  on_front: boolean;
  has_adapter: boolean;
  engine: string | null;
  engine_reason: string | null;
  reason: string | null;
  worker_id: string | null;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  environment: Record<string, string>;
}

export interface Report {
  step: number;
  epoch: number;
  seconds: number;
  metrics: Metrics;
  attempt: number;
  created_at: string;
}

/** One metric of many trials over their epochs. */
export interface Curves {
  metric: string;
  items: { number: number; epochs: number[]; values: number[] }[];
}

/** A trial trained from one epoch to another with one configuration. */
export interface Stretch {
  trial_id: string;
  from_epoch: number;
  /** `null`: to the present, or to the end. */
  to_epoch: number | null;
  config: Config;
  seed: number;
}

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export interface Pareto {
  objectives: Objective[];
  items: Trial[];
  reference: Trial[];
}

/** How far the best value of the first objective may still be, where trials went for trade-offs with others. */
export interface Headroom {
  metric: string;
  tradeoffs: number;
  trials: number;
  expected: number;
  most: number;
  level: number;
  text: string;
}

export interface Best {
  trial: Trial;
  objectives: Metrics;
  snippet: string;
  headroom: Headroom | null;
}

/** A value and the interval it lies in with probability `level`. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
  level: number;
}

export interface ConfirmedObjective {
  metric: string;
  searched: number;
  confirmed: Estimate | null;
  seeds: number;
  promised: Estimate | null;
  kept: boolean | null;
  gain: { reference: string; searched: number; confirmed: Estimate; survived: number | null } | null;
}

export interface Confirmation {
  state: "waiting" | "running" | "done";
  split: string;
  seeds: number;
  items: { trial: Trial; objectives: ConfirmedObjective[]; failed: number }[];
  /** Means that were promised an interval; `kept` of the `promises` that can be judged so far lie in theirs. */
  promised: number;
  kept: number;
  promises: number;
}

export interface Importance {
  metric: string;
  trials: number;
  items: (Estimate & { parameter: string })[];
}

/** What to expect of a configuration, and of each neighbouring one. */
export interface Expectation {
  objectives: Record<string, Estimate>;
  known: string[];
  sensitivity: { metric: string; parameter: string; value: Json; change: Estimate }[];
  trials: number;
}

export interface Knee {
  trial: Trial;
  objectives: Metrics;
}

export interface FieldError {
  field: string;
  found?: Json;
  allowed?: Json;
  message: string;
}

/** RFC 9457 problem details. */
export interface ProblemDetails {
  type?: string;
  title: string;
  status: number;
  detail?: string;
  errors?: FieldError[];
}

/** What the metric catalogue says of one metric. */
export interface MetricInfo {
  name: string;
  kind: "quality" | "cost";
  unit: string;
  direction: Direction;
  description: string;
}

export interface MixtureAnswer {
  weights: Record<string, number>;
  loss: number;
  low: number;
  high: number;
  best_measured: Record<string, number>;
  best_measured_loss: number;
  effects: { domain: string; change: number; low: number; high: number }[];
  warnings: string[];
  held_out?: { mixtures: number; rank_correlation: number };
  check?: {
    seeds: number;
    gain: Record<string, { value: number; low: number | null; high: number | null }>;
  };
}

export interface Exponents {
  coefficient: number;
  exponents: Record<string, number>;
  standard_errors: number[];
  left_out_error: number;
}

export interface LawAnswer {
  learning_rate: Exponents;
  batch: Exponents;
  /** The end of the batches tried at which the law holds; null where the runs show a best one. */
  batch_edge: "smallest" | "largest" | null;
  /** Sizes, settings and loss of each run. */
  runs: Record<string, number>[];
  rows: number;
  cells: number;
}

interface Told {
  name: string;
  version: number;
  job_id: string | null;
}

/** What a job that follows a plan has learnt. */
export type Answer = Told & ({ kind: "mixture"; answer: MixtureAnswer } | { kind: "law"; answer: LawAnswer });
