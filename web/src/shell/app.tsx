/** The frame around every page, and which page the address names. */
import { usePrefetchQuery } from "@tanstack/react-query";
import { lazy, type ReactNode, Suspense } from "react";
import { firstTrialsOf } from "../api/first-trials";
import { jobOf, paretoOf } from "../api/queries";
import { startIn } from "../new-job/start";
import { JobsPage } from "../jobs/jobs-page";
import { type Route, useRoute } from "./router";

// The list of jobs is what is opened first; charts and the editor come with the pages that need them.
const JobPage = lazy(() => import("../job/job-page").then((page) => ({ default: page.JobPage })));
const NewJobPage = lazy(() => import("../new-job/new-job-page").then((page) => ({ default: page.NewJobPage })));
const AskPage = lazy(() => import("../ask/ask-page").then((page) => ({ default: page.AskPage })));
const CompareJobsPage = lazy(() =>
  import("../compare/compare-jobs-page").then((page) => ({ default: page.CompareJobsPage })),
);
const SystemPage = lazy(() => import("../system/system-page").then((page) => ({ default: page.SystemPage })));

export function App() {
  const route = useRoute();
  return (
    <>
      <a className="skip-link" href="#main" onClick={skipToMain}>
        Skip to content
      </a>
      <header className="topbar">
        <a className="wordmark" href="#/">
          <Mark />
          <span>peftsearch</span>
        </a>
        <nav aria-label="Main">
          <NavLink href="#/" here={route.path.length === 0 || route.path[0] === "jobs" || route.path[0] === "compare"}>
            Jobs
          </NavLink>
          <NavLink href="#/new" here={route.path[0] === "new"}>
            New job
          </NavLink>
          <NavLink href="#/ask" here={route.path[0] === "ask"}>
            Ask
          </NavLink>
        </nav>
        <a className="topbar-docs" href="#/system" aria-current={route.path[0] === "system" ? "page" : undefined}>
          System
        </a>
        <a className="topbar-docs" href="v1/docs">
          API
        </a>
      </header>
      <main id="main" tabIndex={-1}>
        <Suspense fallback={<Loading />}>{pageOf(route)}</Suspense>
      </main>
    </>
  );
}

function Loading() {
  return (
    <p className="page muted" role="status">
      Loading the page…
    </p>
  );
}

function pageOf({ path, query }: Route): ReactNode {
  const [first, id] = path;
  if (first === undefined) return <JobsPage />;
  if (first === "new") return <NewJobPage start={startIn(query)} key={query.toString()} />;
  if (first === "system") return <SystemPage />;
  if (first === "ask") return <AskPage />;
  if (first === "compare") return <CompareJobsPage ids={(query.get("jobs") ?? "").split(",").filter(Boolean)} />;
  if (first === "jobs" && id) return <OpenedJob id={id} key={id} />;
  return (
    <div className="page notice" role="alert">
      <h1>There is no such page</h1>
      <p>
        <a href="#/">All jobs</a>
      </p>
    </div>
  );
}

/** What the page shows first is asked for beside its code, not after it. */
function OpenedJob({ id }: { id: string }) {
  usePrefetchQuery(jobOf(id));
  usePrefetchQuery(firstTrialsOf(id));
  usePrefetchQuery(paretoOf(id));
  return <JobPage id={id} />;
}

/** Hash routes own the fragment, so the skip link moves the focus by hand. */
function skipToMain(event: React.MouseEvent): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function NavLink({ href, here, children }: { href: string; here: boolean; children: ReactNode }) {
  return (
    <a href={href} aria-current={here ? "page" : undefined}>
      {children}
    </a>
  );
}

function Mark() {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
      <path
        d="M2.5 17.5v-5h5v-5h5v-5h5"
        fill="none"
        stroke="currentColor"
        strokeWidth="2.2"
        strokeLinejoin="round"
        strokeLinecap="round"
      />
    </svg>
  );
}
