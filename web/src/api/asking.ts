/** Questions that reach beyond one job: what past jobs recommend, and what laws predict. */
import { request } from "./client";
import type { PredictionView, RecommendView, Service_Api_Routes_Laws__AnswerView as StoredLaw } from "./openapi";
import type { Config, Exact, Json } from "./types";

export type Values = { [name: string]: Json };
export type Recommendation = Exact<
  RecommendView,
  { items: Exact<RecommendView["items"][number], { config: Config; expected: { [metric: string]: Range } }>[] }
>;
interface Range {
  value: number;
  low: number;
  high: number;
}
/** Each predicted number is a field of its own, named in `units`. */
export type Prediction = Pick<PredictionView, "source" | "standing" | "valid_for" | "warnings"> & {
  units: { [quantity: string]: string };
  intervals: { [quantity: string]: Range & { level: number } };
  curve?: { [quantity: string]: number }[];
} & { [quantity: string]: unknown };
export type { StoredLaw };

/** A law that can be asked: its path below `predict/`, the name of its question's schema, and what it says in a sentence. */
export interface Law {
  path: string;
  schema: string;
  summary: string;
}

interface Operation {
  description?: string;
  requestBody?: { content?: { "application/json"?: { schema?: { $ref?: string } } } };
}
interface Document {
  paths: Record<string, { post?: Operation }>;
  components: { schemas: Record<string, object> };
}

const json = async <T>(path: string, body: Values | null, signal?: AbortSignal): Promise<T> => {
  const sent = body && { method: "POST" as const, body: JSON.stringify(body) };
  const response = await request(path, {
    ...sent,
    signal,
    headers: sent ? { "Content-Type": "application/json" } : {},
  });
  return (await response.json()) as T;
};

const PREDICT = "/v1/predict/";

/** The laws that the service's OpenAPI document names, and all schemas: a new law needs no new dashboard. */
export async function getLaws(signal?: AbortSignal): Promise<{ laws: Law[]; schemas: Record<string, object> }> {
  const { paths, components } = await json<Document>("openapi.json", null, signal);
  const laws = Object.entries(paths).flatMap(([path, { post }]): Law[] => {
    const schema = post?.requestBody?.content?.["application/json"]?.schema?.$ref?.split("/").at(-1);
    if (!path.startsWith(PREDICT) || !post || !schema) return [];
    return [{ path: path.slice(PREDICT.length), schema, summary: post.description ?? "" }];
  });
  return { laws, schemas: components.schemas };
}

export const predict = (law: string, question: Values, signal?: AbortSignal) =>
  json<Prediction>(`predict/${law}`, question, signal);

export const recommend = (question: Values, signal?: AbortSignal) =>
  json<Recommendation>("recommend", question, signal);

/** Laws that were learnt on this service, the latest first. */
export const listLaws = async (signal?: AbortSignal) =>
  (await json<{ items: StoredLaw[] }>("laws", null, signal)).items;
