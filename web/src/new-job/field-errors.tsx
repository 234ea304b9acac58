import type { FieldError, Json } from "../api/types";
import { configValue } from "../text/config";
import { lineOf } from "./line-of-field";

interface Props {
  message: string;
  errors: FieldError[];
  text: string;
  onShow: (field: string) => void;
}

/** What the service refused: for each field what was found and what would do; its name leads to its line. */
export function FieldErrors({ message, errors, text, onShow }: Props) {
  return (
    <section role="alert" aria-label="Why the job was refused">
      <h2>{errors.length > 1 ? `Not accepted: ${errors.length} problems` : "Not accepted"}</h2>
      {errors.length === 0 && <p>{message}</p>}
      <ul>
        {errors.map((error) => {
          const line = lineOf(text, error.field);
          return (
            <li key={`${error.field} ${error.message}`}>
              {line ? (
                <button type="button" className="link mono" onClick={() => onShow(error.field)}>{error.field} <span className="muted">line {line}</span></button>
              ) : (
                <span className="mono">{error.field}</span>
              )}
              <p>{error.message}</p>
              <Detail name="found" value={error.found} />
              <Detail name="would do" value={error.allowed} />
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Detail({ name, value }: { name: string; value: Json | undefined }) {
  if (value === undefined || value === null || value === "") return null;
  return <p className="muted">{name}: <code>{configValue(value)}</code></p>;
}
