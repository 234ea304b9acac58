/** An answer that takes long: the service says how far it is until it comes. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError, type Options, request } from "./client";
import type { ProblemDetails } from "./types";

/** What `onProgress` hears is one line at a time. Aborting ends the work on the server. */
export async function toldAnswer<T>(path: string, options: Options, onProgress: (stage: string) => void): Promise<T> {
  const headers = { ...options.headers, Accept: "text/event-stream" };
  const response = await request(path, { ...options, headers });
  const reader = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const { event, data } = part.value;
    if (event === "progress") onProgress((JSON.parse(data) as { stage: string }).stage);
    if (event === "answer") return JSON.parse(data) as T;
    if (event === "problem") {
      const problem = JSON.parse(data) as ProblemDetails;
      throw new ApiError(problem.status ?? 500, problem);
    }
  }
  throw new ApiError(0, { title: "the service ended the answer" });
}
