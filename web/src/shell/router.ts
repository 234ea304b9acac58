/** Hash routes: `#/`, `#/new?from=<job>`, `#/new?trial=<id>&how=…`, `#/jobs/<id>?tab=…&trial=<number>&where=…`. The address is the only copy of this state. */
import { useMemo, useSyncExternalStore } from "react";
import { numberOf } from "../api/trial-set";

export interface Route {
  path: string[];
  query: URLSearchParams;
}

export function parseHash(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return useMemo(() => parseHash(hash), [hash]);
}

function subscribe(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

export const jobPath = (id: string): string => `#/jobs/${encodeURIComponent(id)}`;

/** Of a trial by its id, which is its job's id, a dash and its number. */
export const trialPath = (id: string): string => `${jobPath(id.slice(0, id.lastIndexOf("-")))}?trial=${numberOf(id)}`;

/** Where jobs stand side by side. */
export const comparePath = (ids: readonly string[]): string =>
  `#/compare?jobs=${ids.map(encodeURIComponent).join(",")}`;

/** A new job that starts with the file of another. */
export const clonePath = (id: string): string => `#/new?from=${encodeURIComponent(id)}`;

type Changes = Record<string, string | readonly string[] | null>;

/** Change query values of the current route (null removes one, a list repeats it) without a step in the history. */
export const setQuery = (changes: Changes): void => changeQuery(changes, "replaceState");

/** The same as a step that Back undoes: something opens over the page. */
export const openQuery = (changes: Changes): void => changeQuery(changes, "pushState");

/** Undo `openQuery`; a page that was opened with it by its address changes in place. */
export function closeQuery(changes: Changes): void {
  if (window.history.state === OPENED) window.history.back();
  else setQuery(changes);
}

const OPENED = "opened";

function changeQuery(changes: Changes, step: "pushState" | "replaceState"): void {
  const { path, query } = parseHash(window.location.hash);
  for (const [key, value] of Object.entries(changes)) {
    query.delete(key);
    for (const one of typeof value === "string" ? [value] : (value ?? [])) query.append(key, one);
  }
  const tail = query.size ? `?${query}` : "";
  const state = step === "pushState" ? OPENED : window.history.state;
  window.history[step](state, "", `#/${path.map(encodeURIComponent).join("/")}${tail}`);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

export function navigate(hash: string): void {
  window.location.hash = hash;
}
