/** One prompt for the base and some trials of a language model; their answers come as they are written. */
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError, request } from "./client";
import type { ChatView } from "./openapi";
import type { ProblemDetails } from "./types";

export type Spoken = ChatView["answers"][number];

/** What `onProgress` hears: who writes, or loads, and what so far. Aborting ends the work on the server. */
export async function askChat(
  jobId: string,
  question: { trials: string[]; prompt: string; max_new_tokens: number },
  onProgress: (stage: string) => void,
  signal: AbortSignal,
): Promise<Spoken[]> {
  const response = await request(`jobs/${jobId}/chat`, {
    method: "POST",
    body: JSON.stringify(question),
    signal,
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
  });
  const reader = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    const { event, data } = part.value;
    if (event === "progress") onProgress((JSON.parse(data) as { stage: string }).stage);
    if (event === "answer") return (JSON.parse(data) as ChatView).answers;
    if (event === "problem") {
      const problem = JSON.parse(data) as ProblemDetails;
      throw new ApiError(problem.status ?? 500, problem);
    }
  }
  throw new ApiError(0, { title: "the service ended the answer" });
}
