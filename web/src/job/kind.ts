/** What kind of job it is: what its page shows, and what can be done with it. */
import type { Job } from "../api/types";

export const kindOf = ({ spec }: Pick<Job, "spec">): string => String(spec["kind"] ?? "search");

/** Whether it searches a space. */
export const isSearch = (job: Pick<Job, "spec">): boolean => kindOf(job) === "search";

/** Whether its trials follow a plan and do not compete: no configuration of them is trained again or used. */
export const isPlanned = (job: Pick<Job, "spec">): boolean => ["mixture", "law"].includes(kindOf(job));
