/** What mixture jobs recommend, on the simplex of their domains. */
import { EVERY, useJobs } from "../api/queries";
import { useTrials } from "../api/trials";
import type { Job } from "../api/types";
import { AnswerPanel } from "../job/answer-panel";
import { Choice } from "../shell/choice";
import { Failure } from "../shell/failure";
import { jobPath, navigate, setQuery, useRoute } from "../shell/router";

export function MixturesPanel() {
  const { query } = useRoute();
  const jobs = useJobs(EVERY);
  if (jobs.isError && !jobs.data) return <Failure error={jobs.error} what="Jobs" />;
  if (!jobs.data)
    return (
      <p className="muted" role="status">
        Loading…
      </p>
    );
  const mixtures = jobs.data.pages.flatMap((page) => page.items).filter((job) => job.spec["kind"] === "mixture");
  const job = mixtures.find((one) => one.id === query.get("job")) ?? mixtures[0];
  if (!job)
    return (
      <p className="empty">
        No job of kind <code>mixture</code> yet: it measures mixtures of data on small models and recommends one.
      </p>
    );
  return (
    <>
      <Choice
        label="Job"
        value={job.id}
        options={mixtures.map((one) => [one.id, one.name] as const)}
        onChange={(id) => setQuery({ job: id })}
      />
      <Recommended key={job.id} job={job} />
    </>
  );
}

function Recommended({ job }: { job: Job }) {
  const { data: trials = [] } = useTrials(job.id);
  return <AnswerPanel {...{ job, trials }} onSelect={(number) => navigate(`${jobPath(job.id)}?trial=${number}`)} />;
}
