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
