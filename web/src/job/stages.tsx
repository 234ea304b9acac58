/** The seven stages of a job, from its data to what was exported, each with its state and what it has brought forth. */
import { useQuery } from "@tanstack/react-query";
import { listStages } from "../api/client";
import type { ProductView, StageView } from "../api/openapi";
import { keys } from "../api/queries";
import type { Job } from "../api/types";
import { jobPath, openQuery, setQuery } from "../shell/router";
import { integer } from "../text/numbers";
import { duration, moment, secondsBetween } from "../text/time";

/** Products of a stage that are named; the others are counted. */
const NAMED = 2;

export function Stages({ job }: { job: Job }) {
  const { progress } = job;
  const { data } = useQuery({
    // Beside the events that say so, these move a stage on; that one trial more has ended does not.
    queryKey: [
      ...keys.stages(job.id),
      progress.running > 0,
      progress.completed > 0,
      job.front_size > 0,
      progress.confirmations,
    ],
    queryFn: ({ signal }) => listStages(job.id, signal),
    placeholderData: (previous) => previous,
  });
  if (!data) return null;
  return (
    <ol className="stages" aria-label="Stages" tabIndex={0}>
      {data.map((stage) => (
        <li key={stage.name} data-stage={stage.state}>
          <p className="stage-name">{stage.name}</p>
          <p className="stage-state" title={times(stage)}>
            {stage.state}
            <Took stage={stage} />
          </p>
          <Products job={job} products={stage.products} />
          {stage.note && <p className="stage-note">{stage.note}</p>}
        </li>
      ))}
    </ol>
  );
}

/** How long it took, where it took any time. */
function Took({ stage: { started_at, finished_at } }: { stage: StageView }) {
  const seconds = finished_at === null ? null : secondsBetween(started_at, finished_at, 0);
  return seconds ? <> in {duration(seconds)}</> : null;
}

function times({ started_at, finished_at }: StageView): string | undefined {
  const told = [started_at && `from ${moment(started_at)}`, finished_at && `to ${moment(finished_at)}`];
  return told.filter(Boolean).join(" ") || undefined;
}

function Products({ job, products }: { job: Job; products: readonly ProductView[] }) {
  const more = products.length - NAMED;
  return (
    <>
      {products.slice(0, NAMED).map((product) => (
        <p key={product.path + product.text}>
          <ProductLink product={product.kind === "front" ? { ...product, text: frontText(job) } : product} />
        </p>
      ))}
      {more > 0 && <p className="muted">and {more} more</p>}
    </>
  );
}

/** The front grows without the stages being asked for again. */
const frontText = ({ front_size, objectives }: Job): string =>
  objectives.length > 1 ? `${integer(front_size)} on the front` : "the best trial";

/** Where on the page it is shown; hashes are what they are. */
const tabs: Partial<Record<ProductView["kind"], string | null>> = {
  space: "spec",
  steps: "spec",
  design: null,
  front: "best",
  answer: "answer",
  confirmation: "confirmed",
};

function ProductLink({ product: { kind, text, id, path } }: { product: ProductView }) {
  if (kind === "refine job" && id) return <a href={jobPath(id)}>{text}</a>;
  const trial = kind === "adapter" ? path.match(/-(\d+)\/adapter$/)?.[1] : undefined;
  const tab = tabs[kind];
  if (tab === undefined && trial === undefined)
    return (
      <span className="mono" title={id ?? undefined}>
        {text}
      </span>
    );
  const open = () => (trial === undefined ? setQuery({ tab: tab ?? null }) : openQuery({ trial }));
  return (
    <button type="button" className="link" onClick={open}>
      {text}
    </button>
  );
}
