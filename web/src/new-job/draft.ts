/** The text of a job file that is being written, kept for this tab: leaving the page, or reloading it, loses nothing. */
import { useState } from "react";

const PREFIX = "peftsearch-draft:";

export interface Draft {
  text: string;
  /** Whether it differs from what the editor starts with. */
  changed: boolean;
  write: (text: string) => void;
  /** Back to the start. */
  discard: () => void;
}

/** `origin` tells drafts apart: the job that is copied, or nothing. */
export function useDraft(origin: string | null, start: string): Draft {
  const key = PREFIX + (origin ?? "");
  const [text, setText] = useState(() => sessionStorage.getItem(key) ?? start);
  const write = (next: string) => {
    setText(next);
    if (next === start) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, next);
  };
  return { text, changed: text !== start, write, discard: () => write(start) };
}
