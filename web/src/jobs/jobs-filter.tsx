/** Which jobs the list shows. What is chosen stands in the address. */
import { useEffect, useRef, useState } from "react";
import type { JobChoice } from "../api/client";
import type { JobState } from "../api/types";
import { setQuery } from "../shell/router";

const STATES: JobState[] = ["queued", "running", "paused", "completed", "failed", "cancelled"];
/** A service is not asked at every letter. */
const PAUSE_MS = 250;

export const choiceIn = (query: URLSearchParams): JobChoice => ({
  states: query.getAll("state"),
  tags: query.getAll("tag"),
  text: query.get("text") ?? "",
});

export const isChosen = ({ states, tags, text }: JobChoice): boolean => states.length + tags.length > 0 || text !== "";

/** `known` are the tags of the jobs that are shown. */
export function JobsFilter({ choice, known }: { choice: JobChoice; known: readonly string[] }) {
  const [text, setText] = useState(choice.text);
  const told = useRef(choice.text);
  useEffect(() => {
    if (text.trim() === told.current) return;
    const timer = setTimeout(() => {
      told.current = text.trim();
      setQuery({ text: told.current || null });
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  useEffect(() => {
    if (choice.text === told.current) return;
    told.current = choice.text; // the address was changed by a link
    setText(choice.text);
  }, [choice.text]);
  const tags = known.filter((tag) => !choice.tags.includes(tag));
  return (
    <search className="jobs-filter">
      <input
        type="search"
        aria-label="Search jobs by name, note or id"
        placeholder="Name, note or id"
        value={text}
        onChange={({ target }) => setText(target.value)}
      />
      <select
        aria-label="State"
        value={choice.states[0] ?? ""}
        onChange={({ target }) => setQuery({ state: target.value || null })}
      >
        <option value="">any state</option>
        {STATES.map((state) => (
          <option key={state}>{state}</option>
        ))}
      </select>
      {tags.length > 0 && (
        <select aria-label="Tag" value="" onChange={({ target }) => setQuery({ tag: [...choice.tags, target.value] })}>
          <option value="">any tag</option>
          {tags.map((tag) => (
            <option key={tag}>{tag}</option>
          ))}
        </select>
      )}
      {choice.tags.map((tag) => (
        <span key={tag} className="chip">
          {tag}
          <button
            type="button"
            aria-label={`Remove tag ${tag}`}
            onClick={() => setQuery({ tag: choice.tags.filter((one) => one !== tag) })}
          >
            ×
          </button>
        </span>
      ))}
    </search>
  );
}
