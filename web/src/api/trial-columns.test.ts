import {
  Bool,
  Dictionary,
  Field,
  Float64,
  Int32,
  makeVector,
  Schema,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { describe, expect, it } from "vitest";
import { trialsFrom } from "./trial-columns";

const words = () => new Dictionary(new Utf8(), new Int32());

/** A table as the service writes it. */
function stream(): ArrayBuffer {
  const columns = {
    number: makeVector(new Int32Array([3, 4])),
    state: vectorFromArray(["completed", "running"], words()),
    origin: vectorFromArray(["optimizer", "optimizer"], words()),
    on_front: vectorFromArray([true, false], new Bool()),
    started_at: vectorFromArray([1000, null], new Float64()),
    "config.rank": vectorFromArray([8, null], new Int32()),
    "config.mixed": vectorFromArray(['"auto"', "[1, 2]"], words()),
    "metrics.loss": vectorFromArray([0.5, null], new Float64()),
  };
  const table = new Table(columns);
  const marked = table.schema.fields.map((field) =>
    field.name === "config.mixed"
      ? new Field(field.name, field.type, field.nullable, new Map([["values", "json"]]))
      : field,
  );
  const bytes = tableToIPC(new Table(new Schema(marked), table.batches), "stream");
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

describe("trialsFrom", () => {
  const trials = trialsFrom(stream(), "j1");

  it("reads fields, configurations and metrics; what is missing is left out", () => {
    expect(trials[0]).toMatchObject({
      id: "j1-3",
      number: 3,
      state: "completed",
      on_front: true,
      started_at: "1970-01-01T00:00:01.000Z",
      config: { rank: 8, mixed: "auto" },
      metrics: { loss: 0.5 },
    });
    expect(trials[1]).toMatchObject({ id: "j1-4", state: "running", on_front: false, started_at: null, label: null });
    expect(trials[1]?.config).toEqual({ mixed: [1, 2] });
    expect(trials[1]?.metrics).toEqual({});
  });
});
