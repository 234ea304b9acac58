/** How far jobs have come, in a few numbers each, for lists of them. */
import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { listCourses } from "./client";
import type { CourseView } from "./openapi";
import type { Job } from "./types";

/** Jobs that one request may name. */
const NAMED = 200;

type Listed = Pick<Job, "id"> & { progress: Pick<Job["progress"], "completed"> };

/** A job's course when so many of its trials had ended; null where it has none. */
interface Known {
  completed: number;
  course: CourseView | null;
}

/** The course of each job of a list by its id, asked for again when a trial of it has ended. */
export function useCourses(jobs: readonly Listed[]): ReadonlyMap<string, CourseView> {
  const cache = useQueryClient();
  const { data } = useQuery({
    queryKey: ["courses", jobs.map(({ id, progress }) => [id, progress.completed])],
    queryFn: ({ signal }) => coursesOf(cache, jobs, signal),
    enabled: jobs.length > 0,
    staleTime: Infinity,
    gcTime: 0, // made of what is kept for each job
    placeholderData: (previous) => previous,
  });
  return data ?? none;
}

/** The courses of jobs by id. Only those that are not known are asked for, in slices. */
export async function coursesOf(
  cache: QueryClient,
  jobs: readonly Listed[],
  signal?: AbortSignal,
): Promise<ReadonlyMap<string, CourseView>> {
  cache.setQueryDefaults(["course"], { gcTime: Infinity }); // nobody observes them
  const known = ({ id }: Listed) => cache.getQueryData<Known>(["course", id]);
  const missing = jobs.filter((job) => known(job)?.completed !== job.progress.completed);
  const slices = Array.from({ length: Math.ceil(missing.length / NAMED) }, (_, at) =>
    missing.slice(at * NAMED, (at + 1) * NAMED),
  );
  const ask = async (slice: readonly Listed[]) => {
    const found = await listCourses(
      slice.map(({ id }) => id),
      signal,
    );
    const byId = new Map(found.map((course) => [course.job_id, course]));
    for (const { id, progress } of slice)
      cache.setQueryData<Known>(["course", id], { completed: progress.completed, course: byId.get(id) ?? null });
  };
  await Promise.all(slices.map(ask));
  const courses = jobs.map((job) => known(job)?.course).filter((course) => course != null);
  return new Map(courses.map((course) => [course.job_id, course]));
}

const none: ReadonlyMap<string, CourseView> = new Map();
