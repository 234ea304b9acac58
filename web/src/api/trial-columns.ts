/** Trials from the typed columns that the service sends: no text is parsed, and equal words are one string. */
import { type Data, DataType, type Table, tableFromIPC, type Vector } from "apache-arrow";
import type { Config, Json, Metrics, Trial } from "./types";

type Read = (row: number) => Json;

const CONFIG = "config.";
const METRICS = "metrics.";
/** Columns that hold values of several kinds, each as JSON. */
const AS_JSON = "json";

/** The trials in a stream of Arrow IPC, by number. */
export function trialsFrom(stream: ArrayBuffer, jobId: string): Trial[] {
  const table = tableFromIPC(new Uint8Array(stream));
  const plain = readers(table, "");
  const field = (name: string): Read => plain.find(([known]) => known === name)?.[1] ?? nothing;
  const [number, state, origin, label, seed, attempt] = ["number", "state", "origin", "label", "seed", "attempt"].map(
    field,
  );
  const [onFront, hasAdapter, engine, remark, reason] = [
    "on_front",
    "has_adapter",
    "engine",
    "engine_reason",
    "reason",
  ].map(field);
  const [worker, created, started, finished] = ["worker_id", "created_at", "started_at", "finished_at"].map(field);
  const [note, tags] = ["note", "tags"].map(field);
  const config = readers(table, CONFIG);
  const metrics = readers(table, METRICS);
  return Array.from({ length: table.numRows }, (_, row) => {
    const at = (read: Read | undefined) => (read ?? nothing)(row);
    return {
      id: `${jobId}-${at(number)}`,
      job_id: jobId,
      number: at(number) as number,
      state: at(state) as Trial["state"],
      origin: at(origin) as Trial["origin"],
      label: at(label) as string | null,
      confirms: null,
      config: gathered(config, row) as Config,
      seed: at(seed) as number,
      attempt: at(attempt) as number,
      metrics: gathered(metrics, row) as Metrics,
      on_front: at(onFront) as boolean,
      has_adapter: at(hasAdapter) as boolean,
      engine: at(engine) as string | null,
      engine_reason: at(remark) as string | null,
      reason: at(reason) as string | null,
      worker_id: at(worker) as string | null,
      created_at: moment(at(created)) ?? "",
      started_at: moment(at(started)),
      finished_at: moment(at(finished)),
      note: at(note) as string | null,
      tags: (at(tags) as string[] | null) ?? noTags,
    };
  });
}

const noTags: string[] = [];
const nothing: Read = () => null;

/** Names without `prefix`, each with what reads its column. */
const readers = (table: Table, prefix: string): [string, Read][] =>
  table.schema.fields.flatMap((field): [string, Read][] => {
    const column = table.getChild(field.name);
    if (!column || !field.name.startsWith(prefix)) return [];
    return [[field.name.slice(prefix.length), readerOf(column, field.metadata.get("values") === AS_JSON)]];
  });

/** What reads a column of a table of one batch straight from its memory; asking the column itself costs ten times more. */
function readerOf(column: Vector, json: boolean): Read {
  const [data] = column.data;
  if (!data || column.data.length > 1 || data.offset !== 0) return (row) => column.get(row) as Json;
  const read = plainReader(data, json);
  if (!read) return (row) => column.get(row) as Json;
  const { nullBitmap } = data;
  return data.nullCount === 0 ? read : (row) => (bit(nullBitmap, row) ? read(row) : null);
}

/** Of numbers, switches and words; null for what else there is, such as lists. */
function plainReader({ type, values, dictionary }: Data, json: boolean): Read | null {
  if (DataType.isFloat(type) || (DataType.isInt(type) && type.bitWidth <= 32)) return (row) => values[row] as number;
  if (DataType.isBool(type)) return (row) => bit(values as Uint8Array, row);
  if (!DataType.isDictionary(type) || !dictionary) return null;
  // Each word is made once, however many trials have it.
  const words = Array.from(dictionary as Iterable<string>, (word): Json => (json ? (JSON.parse(word) as Json) : word));
  return (row) => words[values[row] as number] ?? null;
}

const bit = (bits: Uint8Array, at: number): boolean => (((bits[at >> 3] ?? 0) >> (at & 7)) & 1) === 1;

/** What a row has, and nothing for what it has not. */
function gathered(columns: readonly [string, Read][], row: number): Record<string, Json> {
  const values: Record<string, Json> = {};
  for (const [name, read] of columns) {
    const value = read(row);
    if (value !== null) values[name] = value;
  }
  return values;
}

const moment = (milliseconds: Json): string | null =>
  typeof milliseconds === "number" ? new Date(milliseconds).toISOString() : null;
