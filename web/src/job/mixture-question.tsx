/** A mixture that nobody may have trained on: a slider for each domain, and the loss that the proxies let expect of it. */
import { useQuery } from "@tanstack/react-query";
import { useDeferredValue } from "react";
import { expectMixtures } from "../api/client";
import type { Job } from "../api/types";
import { percent, short } from "../text/numbers";
import { type Shares, withShare } from "./shares";

interface Props {
  job: Job;
  shares: Shares;
  onChange: (shares: Shares) => void;
}

export function MixtureQuestion({ job, shares, onChange }: Props) {
  const asked = useDeferredValue(shares);
  const { data, error, isFetching } = useQuery({
    queryKey: ["mixture", job.id, job.progress.completed, asked],
    queryFn: ({ signal }) => expectMixtures(job.id, [asked], signal),
    placeholderData: (previous) => previous,
    staleTime: Infinity,
    retry: false,
  });
  const expected = data?.items[0];
  return (
    <fieldset className="mixture-question">
      <legend>Any other mixture</legend>
      {Object.entries(shares).map(([domain, share]) => (
        <label key={domain} className="slider">
          {domain}
          <input
            type="range"
            min={0}
            max={100}
            value={Math.round(100 * share)}
            aria-valuetext={percent(share)}
            onChange={({ target }) => onChange(withShare(shares, domain, Number(target.value) / 100))}
          />
          <output>{percent(share)}</output>
        </label>
      ))}
      <p role="status" aria-busy={isFetching}>
        {error
          ? error.message
          : expected
            ? `Expected loss ${short(expected.loss)} (${short(expected.low)} to ${short(expected.high)} with ${percent(data.level)} probability).`
            : "Fitting a regression to the measured mixtures…"}
      </p>
    </fieldset>
  );
}
