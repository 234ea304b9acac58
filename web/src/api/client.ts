/** One function per REST call. Failures throw `ApiError`, which carries the problem details of the service. */
import type {
  CheckView,
  ChoiceView,
  CopyView,
  CourseView,
  ExpectedMixturesView,
  ExtendRequest,
  SiteView,
  SpaceView,
  StageView,
  TaskView,
  UncertaintyView,
  UseView,
} from "./openapi";
import { readToken } from "./token";
import type {
  Answer,
  Best,
  Config,
  Confirmation,
  Contour,
  Curves,
  Expectation,
  FieldError,
  Generations,
  Importance,
  Job,
  JobAction,
  Json,
  Knee,
  MetricInfo,
  Page,
  Pareto,
  ProblemDetails,
  Report,
  Slice,
  Stretch,
  WholeTrial,
} from "./types";

/** A refused or failed request. `status` 0 means that the service was not reached. */
export class ApiError extends Error {
  readonly status: number;
  readonly errors: FieldError[];

  constructor(status: number, problem: Partial<ProblemDetails>) {
    super(problem.detail || problem.title || `the service answered ${status}`);
    this.status = status;
    this.errors = problem.errors ?? [];
  }
}

/** Whether asking again will be answered in the same way: the service understood and said no. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof ApiError && error.status >= 400 && error.status < 500;

export interface Options {
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal | undefined;
}

export async function request(path: string, { headers, ...rest }: Options = {}): Promise<Response> {
  const token = readToken();
  const authorization: Record<string, string> = token ? { Authorization: `Bearer ${token}` } : {};
  let response: Response;
  try {
    response = await fetch(`v1/${path}`, {
      ...rest,
      signal: rest.signal ?? null,
      headers: { ...authorization, ...headers },
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, { title: "the service cannot be reached" });
  }
  if (!response.ok) throw new ApiError(response.status, await problemOf(response));
  return response;
}

async function problemOf(response: Response): Promise<Partial<ProblemDetails>> {
  try {
    return (await response.json()) as ProblemDetails;
  } catch {
    return { title: `${response.status} ${response.statusText}`.trim() };
  }
}

const json = async <T>(path: string, options?: Options): Promise<T> =>
  (await request(path, options)).json() as Promise<T>;

export const query = (values: Record<string, string | number | null | undefined>): string => {
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
};

/** Which jobs a list holds: in one of the states, with all of the tags, with the text in their name, note or id. */
export interface JobChoice {
  states: readonly string[];
  tags: readonly string[];
  text: string;
}

export function listJobs({ states, tags, text }: JobChoice, cursor: string | null, signal?: AbortSignal) {
  const chosen = [...states.map((state) => ["state", state]), ...tags.map((tag) => ["tag", tag])];
  return json<Page<Job>>(`jobs?${query({ cursor, limit: 50, text: text || null })}&${new URLSearchParams(chosen)}`, {
    signal,
  });
}

export const getJob = (id: string, signal?: AbortSignal) => json<Job>(`jobs/${id}`, { signal });

export const getTrial = (id: string, signal?: AbortSignal) => json<WholeTrial>(`trials/${id}`, { signal });

export const getReports = async (trialId: string, signal?: AbortSignal) =>
  (await json<{ items: Report[] }>(`trials/${trialId}/reports`, { signal })).items;

/** These trials, in this order, as a file. */
export const getParquet = async (jobId: string, numbers: readonly number[]): Promise<Blob> =>
  (
    await request(`jobs/${jobId}/parquet`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ numbers }),
    })
  ).blob();

/** One metric of the newest trials, and of those on the front, over their epochs. */
export const getCurves = (jobId: string, metric: string, signal?: AbortSignal) =>
  json<Curves>(`jobs/${jobId}/curves?${query({ metric })}`, { signal });

/** How the trial's weights came about, oldest first. */
export const getStretches = async (trialId: string, signal?: AbortSignal) =>
  (await json<{ stretches: Stretch[] }>(`trials/${trialId}/lineage`, { signal })).stretches;

/** Who went on from whose weights in a population, oldest first. */
export const getCopies = (jobId: string, signal?: AbortSignal) => itemsOf<CopyView>(`jobs/${jobId}/lineage`, signal);

/** The spec of a job that goes on from a trial: the same training with another seed, or a search around it. */
export const getFollowUp = async (trialId: string, how: string, signal?: AbortSignal) =>
  (await json<{ spec: { [key: string]: Json } }>(`trials/${trialId}/follow-up?${query({ how })}`, { signal })).spec;

/** The refine jobs that began with the trial's adapter. */
export const listUses = (trialId: string, signal?: AbortSignal) => itemsOf<UseView>(`trials/${trialId}/uses`, signal);

/** Where a job stands, from its data to what was exported. */
export const listStages = (jobId: string, signal?: AbortSignal) => itemsOf<StageView>(`jobs/${jobId}/stages`, signal);

/** How far jobs have come, in a few numbers each. */
export const listCourses = (jobIds: readonly string[], signal?: AbortSignal) =>
  itemsOf<CourseView>(`courses?${new URLSearchParams(jobIds.map((id) => ["job", id]))}`, signal);

/** Where the trial's adapter sits. */
export const getLayers = (trialId: string, signal?: AbortSignal) =>
  itemsOf<SiteView>(`trials/${trialId}/layers`, signal);

/** What the trial's model answered to held-out rows, beside its base. */
export const getGenerations = (trialId: string, signal?: AbortSignal) =>
  json<Generations>(`trials/${trialId}/generations`, { signal });

/** Python code that trains the trial's configuration again. */
export const getSnippet = async (trialId: string, signal?: AbortSignal) =>
  (await json<{ snippet: string }>(`trials/${trialId}/snippet`, { signal })).snippet;

export const getPareto = (jobId: string, signal?: AbortSignal) => json<Pareto>(`jobs/${jobId}/pareto`, { signal });

/** `where` holds comparisons such as `trainable_params<=20000`. */
export function getBest(
  jobId: string,
  metric: string,
  direction: "maximize" | "minimize",
  where: string[],
  signal?: AbortSignal,
) {
  const clauses = where.map((one) => ["where", one]);
  const parameters = new URLSearchParams([[direction, metric], ["headroom", "true"], ...clauses]);
  return json<Best>(`jobs/${jobId}/best?${parameters}`, { signal });
}

export const listMetrics = (signal?: AbortSignal) => itemsOf<MetricInfo>("metrics", signal);

export const actOnJob = (id: string, action: JobAction) => json<Job>(`jobs/${id}/${action}`, { method: "POST" });

/** More budget; a job that is over is queued again. */
export const extendJob = (id: string, more: ExtendRequest) =>
  json<Job>(`jobs/${id}/extend`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(more),
  });

/** A merge patch (RFC 7396) of the space of a search that is not over. */
export const changeSpace = (id: string, patch: { [key: string]: Json }) =>
  json<Job>(`jobs/${id}/space`, {
    method: "PATCH",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(patch),
  });

/** Tags in place of those before, and a note in place of that before (an empty one takes it away). */
export type NewRemarks = { tags?: string[]; note?: string };
const change = (body: NewRemarks): Options => ({
  method: "PATCH",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const remarkJob = (id: string, remarks: NewRemarks) => json<Job>(`jobs/${id}`, change(remarks));

export const remarkTrial = (id: string, remarks: NewRemarks) => json<WholeTrial>(`trials/${id}`, change(remarks));

export const deleteJob = (id: string) => request(`jobs/${id}`, { method: "DELETE" });

/** Submit a job file. The same `key` never creates a second job, however often the request is repeated. */
export const submitJob = (yaml: string, key: string) =>
  json<Job>("jobs", {
    method: "POST",
    body: yaml,
    headers: { "Content-Type": "application/yaml", "Idempotency-Key": key },
  });

/** What submitting a job file would say; nothing is stored. */
export const checkJob = (yaml: string, signal?: AbortSignal) =>
  json<CheckView>("checks", { method: "POST", body: yaml, headers: { "Content-Type": "application/yaml" }, signal });

const itemsOf = async <T>(path: string, signal?: AbortSignal) => (await json<{ items: T[] }>(path, { signal })).items;

export const listTasks = (signal?: AbortSignal) => itemsOf<TaskView>("tasks", signal);
export const listOptimizers = (signal?: AbortSignal) => itemsOf<ChoiceView>("optimizers", signal);
export const listSchedulers = (signal?: AbortSignal) => itemsOf<ChoiceView>("schedulers", signal);
/** Ready-made spaces that suit a model and a type of task. */
export const listSpaces = (model: string, task: string, signal?: AbortSignal) =>
  itemsOf<SpaceView>(`spaces?${query({ model, task })}`, signal);

/** JSON schemas of the sections of a job, by name. */
export const getSchemas = async (signal?: AbortSignal): Promise<Record<string, object>> =>
  (await json<{ components: { schemas: Record<string, object> } }>("openapi.json", { signal })).components.schemas;

/** Begins with the newest events: enough for the log, and for what happened while the page was loading. */
export const openEvents = (jobId: string, lastEventId: string, signal: AbortSignal) =>
  request(`jobs/${jobId}/events?recent=500`, {
    signal,
    headers: { Accept: "text/event-stream", ...(lastEventId ? { "Last-Event-ID": lastEventId } : {}) },
  });

/** What a job of kind `mixture` or `law` has learnt; 404 until its first stage is over. */
export const getAnswer = (jobId: string, signal?: AbortSignal) => json<Answer>(`jobs/${jobId}/answer`, { signal });

/** The losses to expect of mixtures of a job's domains. */
export const expectMixtures = (jobId: string, mixtures: readonly Record<string, number>[], signal?: AbortSignal) =>
  json<ExpectedMixturesView>(`jobs/${jobId}/mixtures/expect`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ mixtures }),
    signal,
  });

export const getConfirmation = (jobId: string, signal?: AbortSignal) =>
  json<Confirmation>(`jobs/${jobId}/confirmation`, { signal });

export const getImportance = (jobId: string, metric: string, signal?: AbortSignal) =>
  json<Importance>(`jobs/${jobId}/importance?${query({ metric })}`, { signal });

/** A metric over one parameter, all else as in a trial. */
export const getSlice = (jobId: string, trial: number, parameter: string, metric: string, signal?: AbortSignal) =>
  json<Slice>(`jobs/${jobId}/slice?${query({ trial, parameter, metric })}`, { signal });

/** A metric over two parameters, all else as in a trial. */
export const getContour = (
  jobId: string,
  trial: number,
  across: string,
  up: string,
  metric: string,
  signal?: AbortSignal,
) => json<Contour>(`jobs/${jobId}/contour?${query({ trial, across, up, metric })}`, { signal });

/** Where the quality of trials on the front lies by what all trials tell. */
export const getUncertainty = (jobId: string, signal?: AbortSignal) =>
  json<UncertaintyView>(`jobs/${jobId}/uncertainty`, { signal });

export const getKnee = (jobId: string, signal?: AbortSignal) => json<Knee>(`jobs/${jobId}/knee`, { signal });

export const getExpectation = (jobId: string, config: Config, signal?: AbortSignal) =>
  json<Expectation>(`jobs/${jobId}/expect`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ config }),
    signal,
  });

/** The adapter as a zip. Fetched rather than linked: a link cannot carry the token. */
export const getAdapter = async (trialId: string): Promise<Blob> => (await request(`trials/${trialId}/adapter`)).blob();
