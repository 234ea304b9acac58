/** One prompt for the base and some trials of a language model; their answers come as they are written. */
import type { ChatView } from "./openapi";
import { toldAnswer } from "./told-answer";

export type Spoken = ChatView["answers"][number];

/** What `onProgress` hears: who writes, or loads, and what so far. Aborting ends the work on the server. */
export async function askChat(
  jobId: string,
  question: { trials: string[]; prompt: string; max_new_tokens: number },
  onProgress: (stage: string) => void,
  signal: AbortSignal,
): Promise<Spoken[]> {
  const headers = { "Content-Type": "application/json" };
  const asked = { method: "POST", body: JSON.stringify(question), signal, headers } as const;
  return (await toldAnswer<ChatView>(`jobs/${jobId}/chat`, asked, onProgress)).answers;
}
