/** The JSON shapes of the REST API: what OpenAPI says of them, made exact where it only says `object` or `string`. */
import type {
  BestView,
  ConfirmationView,
  ConfirmedView,
  ContourView,
  CurvesView,
  EstimateView,
  ExpectView,
  FieldProblem,
  FrontView,
  GenerationsView,
  HeadroomView,
  ImportanceView,
  JobView,
  KneeView,
  MetricView,
  Problem,
  ProgressView,
  ReportView,
  SliceView,
  StretchView,
  TrialView,
} from "./openapi";

export type JobState = JobView["state"];
export type TrialState = TrialView["state"];
export type TrialOrigin = TrialView["origin"];
export type Direction = "maximize" | "minimize";
export type JobAction = "pause" | "resume" | "cancel";

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
export type Config = Record<string, Json>;
/** `null` is a value that is not a finite number, such as a NaN loss. */
export type Metrics = Record<string, number | null>;

/** A view of the service with some of its fields made more exact. */
export type Exact<View, Fields> = Omit<View, keyof Fields> & Fields;

export interface Objective {
  metric: string;
  direction: Direction;
}

export type Progress = ProgressView;
export type Job = Exact<
  JobView,
  { spec: { [key: string]: Json }; best: Metrics; objectives: Objective[]; progress: Progress }
>;
/** What is known of every trial of a job; `WholeTrial` is read one by one. */
export type Trial = Exact<Omit<TrialView, "environment" | "evaluated_rows">, { config: Config; metrics: Metrics }>;
export type WholeTrial = Trial & Pick<TrialView, "environment">;
export type Report = Exact<ReportView, { metrics: Metrics }>;
export type Curves = CurvesView;
/** A trial trained from one epoch to another with one configuration. */
export type Stretch = Exact<StretchView, { config: Config }>;

/** Answers of a trial's model to held-out rows, beside those of its base. */
export type Generations = GenerationsView;

export interface Page<T> {
  items: T[];
  next_cursor: string | null;
}

export type Pareto = Exact<FrontView, { objectives: Objective[]; items: Trial[]; reference: Trial[] }>;
export type Headroom = HeadroomView;
export type Best = Exact<BestView, { trial: Trial; objectives: Metrics; headroom: Headroom | null }>;
/** A value and the interval it lies in with probability `level`. */
export type Estimate = EstimateView;
export type ConfirmedObjective = ConfirmedView;
export type Confirmation = Exact<
  ConfirmationView,
  { items: Exact<ConfirmationView["items"][number], { trial: Trial }>[] }
>;
export type Importance = ImportanceView;
export type Expectation = Exact<
  ExpectView,
  { sensitivity: Exact<ExpectView["sensitivity"][number], { value: Json }>[] }
>;
export type Slice = Exact<SliceView, { points: Exact<SliceView["points"][number], { at: Json }>[] }>;
export type Contour = Exact<ContourView, { across_values: Json[]; up_values: Json[] }>;
export type Knee = Exact<KneeView, { trial: Trial; objectives: Metrics }>;
export type FieldError = Exact<FieldProblem, { found?: Json; allowed?: Json }>;

/** RFC 9457 problem details. */
export type ProblemDetails = Exact<Problem, { errors?: FieldError[] }>;
/** What the metric catalogue says of one metric. */
export type MetricInfo = Exact<MetricView, { kind: "quality" | "cost"; direction: Direction }>;

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

/** Of every step of a refine job its best trial, with what it reached by the objectives. */
export interface RefineAnswer {
  steps: { step: string; trial: number; objectives: Metrics }[];
}

interface Told {
  name: string;
  version: number;
  job_id: string | null;
}

/** What a job that follows a plan has learnt. */
export type Answer = Told &
  (
    | { kind: "mixture"; answer: MixtureAnswer }
    | { kind: "law"; answer: LawAnswer }
    | { kind: "refine"; answer: RefineAnswer }
  );
