/** What mixture jobs recommend, on the simplex of their domains. */
import { useTrials } from "../api/trials";
import type { Job } from "../api/types";
import { AnswerPanel } from "../job/answer-panel";
import { kindOf } from "../job/kind";
import { jobPath, navigate } from "../shell/router";
import { JobChoice } from "./job-choice";

export function MixturesPanel() {
  return (
    <JobChoice
      fits={(job) => kindOf(job) === "mixture"}
      none={
        <>
          No job of kind <code>mixture</code> yet: it measures mixtures of data on small models and recommends one.
        </>
      }
    >
      {(job) => <Recommended key={job.id} job={job} />}
    </JobChoice>
  );
}

function Recommended({ job }: { job: Job }) {
  const { data: trials = [] } = useTrials(job.id);
  return <AnswerPanel {...{ job, trials }} onSelect={(number) => navigate(`${jobPath(job.id)}?trial=${number}`)} />;
}
