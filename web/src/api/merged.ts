/** The adapter of a trial folded into its base, as a whole checkpoint. */
import { bytes } from "../text/numbers";
import { request } from "./client";
import { toldAnswer } from "./told-answer";

/** As a zip. The service makes it first, where that was not done lately; aborting ends its work. */
export async function getMerged(
  trialId: string,
  onProgress: (stage: string) => void,
  signal: AbortSignal,
): Promise<Blob> {
  const path = `trials/${trialId}/merged`;
  const { size } = await toldAnswer<{ size: number }>(path, { signal }, onProgress);
  onProgress(`downloading ${bytes(size)}`);
  return (await request(path, { signal })).blob();
}
