/** Questions without a new search: the best of a job under limits, what past jobs recommend, what laws predict, which mixtures of data are best. */
import { lazy } from "react";
import { setQuery, useRoute } from "../shell/router";
import { Tabs } from "../shell/tabs";
import { BestUnderLimits } from "./best-under-limits";
import { LawsPanel } from "./laws-panel";
import { RecommendPanel } from "./recommend-panel";

// Trials come in a format that no other question needs to read.
const MixturesPanel = lazy(() => import("./mixtures-panel").then((panel) => ({ default: panel.MixturesPanel })));

const TABS = [
  { id: "best", title: "Best under limits" },
  { id: "recommend", title: "For a new task" },
  { id: "laws", title: "Laws" },
  { id: "mixtures", title: "Mixtures" },
];

export function AskPage() {
  const { query } = useRoute();
  const tab = query.get("tab") ?? "best";
  return (
    <div className="page ask">
      <title>Ask · peftsearch</title>
      <div className="page-head">
        <h1>Ask</h1>
      </div>
      <Tabs label="Questions" tabs={TABS} current={tab} onChange={(next) => setQuery({ tab: next })}>
        {tab === "best" && <BestUnderLimits />}
        {tab === "recommend" && <RecommendPanel />}
        {tab === "laws" && <LawsPanel />}
        {tab === "mixtures" && <MixturesPanel />}
      </Tabs>
    </div>
  );
}
