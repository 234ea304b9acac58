import type { FieldError, Json } from "../api/types";
import { configValue } from "../text/config";
import { lineOf } from "./line-of-field";

interface Props {
  message: string;
  errors: FieldError[];
  text: string;
  onShow: (field: string) => void;
  /** Whether the job was submitted and refused; else it would be. */
  refused?: boolean;
}

/** What the service refused: for each field what was found and what would do; its name leads to its line. */
export function FieldErrors({ message, errors, text, onShow, refused = false }: Props) {
  const count = errors.length > 1 ? `${errors.length} problems` : "1 problem";
  return (
    <section role={refused ? "alert" : undefined} aria-label={refused ? "Why the job was refused" : "Problems"}>
      <h2>{refused ? `Not accepted: ${count}` : count}</h2>
      {errors.length === 0 && <p>{message}</p>}
      <ul>
        {errors.map((error) => {
          const line = lineOf(text, error.field);
          return (
            <li key={`${error.field} ${error.message}`}>
              {line ? (
                <button type="button" className="link mono" onClick={() => onShow(error.field)}>
                  {error.field} <span className="muted">line {line}</span>
                </button>
              ) : (
                <span className="mono">{error.field}</span>
              )}
              <p>{error.message}</p>
              <Detail name="found" value={error.found} said={error.message} />
              <Detail name="would do" value={error.allowed} said={error.message} />
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** Left out where the message says it already. */
function Detail({ name, value, said }: { name: string; value: Json | undefined; said: string }) {
  if (value === undefined || value === null || value === "") return null;
  const text = configValue(value);
  return said.includes(text) ? null : (
    <p className="muted">
      {name}: <code>{text}</code>
    </p>
  );
}
