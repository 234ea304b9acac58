/** A prompt, and what the base and chosen trials write to it, side by side. Leaving the page ends the work. */
import { type FormEvent, useEffect, useRef, useState } from "react";
import { askChat, type Spoken } from "../api/chat";
import { ApiError } from "../api/client";
import type { Job, Trial } from "../api/types";

/** The service answers with so many trials at once. */
const MOST = 4;
const SHOWN = 40;

interface Props {
  job: Job;
  trials: readonly Trial[];
  front: ReadonlySet<string>;
}

export function ChatPanel({ job, trials, front }: Props) {
  const usable = trials
    .filter((trial) => trial.has_adapter && (front.has(trial.id) || trial.origin === "reference"))
    .slice(0, SHOWN);
  const [picked, setPicked] = useState<readonly string[] | null>(null);
  const first = usable.find((trial) => front.has(trial.id)) ?? usable[0];
  const chosen = picked ?? (first ? [first.id] : []);
  const [prompt, setPrompt] = useState("");
  const [stage, setStage] = useState<string | null>(null);
  const [answers, setAnswers] = useState<Spoken[]>([]);
  const [problem, setProblem] = useState("");
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const ask = async (event: FormEvent) => {
    event.preventDefault();
    const stop = new AbortController();
    running.current = stop;
    setProblem("");
    setAnswers([]);
    setStage("waiting");
    try {
      const question = { trials: [...chosen], prompt, max_new_tokens: 128 };
      setAnswers(await askChat(job.id, question, setStage, stop.signal));
    } catch (error) {
      if (!stop.signal.aborted) setProblem(error instanceof ApiError ? error.message : "The answer cannot be had.");
    } finally {
      if (running.current === stop) {
        running.current = null;
        setStage(null);
      }
    }
  };
  const toggle = (id: string) =>
    setPicked(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-MOST));

  if (usable.length === 0) return <p className="empty">No trial of the front has an adapter to answer with yet.</p>;
  return (
    <form className="chat" onSubmit={(event) => void ask(event)}>
      <fieldset disabled={stage !== null}>
        <legend>The base, and up to {MOST} trials</legend>
        {usable.map((trial) => (
          <label key={trial.id} className="inline">
            <input type="checkbox" checked={chosen.includes(trial.id)} onChange={() => toggle(trial.id)} />
            Trial {trial.number}
          </label>
        ))}
      </fieldset>
      <label>
        Prompt
        <textarea rows={3} value={prompt} maxLength={16_000} onChange={(event) => setPrompt(event.target.value)} />
      </label>
      <p>
        {/* By their keys two buttons, not one that changes: a stopping click would submit what its button has become. */}
        {stage === null ? (
          <button key="ask" type="submit" disabled={!prompt.trim() || chosen.length === 0}>
            Ask
          </button>
        ) : (
          <button key="stop" type="button" onClick={() => running.current?.abort()}>
            Stop
          </button>
        )}
      </p>
      {stage !== null && (
        <p className="muted chat-text" role="status">
          {stage}
        </p>
      )}
      {problem && (
        <p className="empty" role="alert">
          {problem}
        </p>
      )}
      <div className="chat-answers">
        {answers.map((one) => (
          <section key={one.trial ?? "base"} aria-label={one.number === null ? "Base" : `Trial ${one.number}`}>
            <h3>{one.number === null ? "Base" : `Trial ${one.number}`}</h3>
            <p className="chat-text">{one.text || "(nothing)"}</p>
            <p className="muted">
              {one.tokens} tokens{one.finished ? "" : ", cut at their limit"}
            </p>
          </section>
        ))}
      </div>
    </form>
  );
}
