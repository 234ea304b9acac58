/** A token to make: its name, its project and what it may. */
import { type FormEvent, useState } from "react";
import type { TokenRequest } from "../api/openapi";

type Scope = TokenRequest["scopes"][number];
const SCOPES: readonly Scope[] = ["read", "submit", "work", "admin"];
const DAY = 86_400;

interface Props {
  busy: boolean;
  onMake: (token: TokenRequest) => void;
}

export function TokenForm({ busy, onMake }: Props) {
  const [name, setName] = useState("");
  const [project, setProject] = useState("");
  const [scope, setScope] = useState<Scope>("submit");
  const [days, setDays] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onMake({
      name,
      scopes: [scope],
      ...(project ? { project } : {}),
      ...(days ? { ttl: Number(days) * DAY } : {}),
    });
    setName("");
  };
  return (
    <form className="token-form" onSubmit={submit}>
      <label className="field">
        Name
        <input value={name} required maxLength={200} onChange={({ target }) => setName(target.value)} />
      </label>
      <label className="field">
        May
        <select value={scope} onChange={({ target }) => setScope(target.value as Scope)}>
          {SCOPES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </label>
      <label className="field">
        Project
        <input value={project} placeholder="default" onChange={({ target }) => setProject(target.value)} />
      </label>
      <label className="field">
        Days until it ends
        <input
          type="number"
          min={1}
          value={days}
          placeholder="until revoked"
          onChange={({ target }) => setDays(target.value)}
        />
      </label>
      <button type="submit" className="primary" disabled={busy}>
        Make a token
      </button>
    </form>
  );
}
