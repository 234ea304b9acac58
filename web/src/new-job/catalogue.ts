/** What can be chosen in a job, asked for once. */
import { useQuery } from "@tanstack/react-query";
import { getSchemas, listMetrics, listOptimizers, listSchedulers, listTasks } from "../api/client";
import type { ChoiceView, MetricView, TaskView } from "../api/openapi";
import type { Schemas } from "./schema";

export interface Catalogue {
  tasks: TaskView[];
  metrics: MetricView[];
  optimizers: ChoiceView[];
  schedulers: ChoiceView[];
  schemas: Schemas;
}

export const useCatalogue = () =>
  useQuery({
    queryKey: ["catalogue"],
    queryFn: async ({ signal }): Promise<Catalogue> => {
      const [tasks, metrics, optimizers, schedulers, schemas] = await Promise.all([
        listTasks(signal),
        listMetrics(signal),
        listOptimizers(signal),
        listSchedulers(signal),
        getSchemas(signal),
      ]);
      return { tasks, metrics, optimizers, schedulers, schemas: schemas as Schemas };
    },
    staleTime: Infinity,
  });
