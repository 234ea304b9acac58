/** What a page shows when its data could not be had, with the way out. */
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError } from "../api/client";
import { keepToken } from "../api/token";

interface Props {
  error: Error;
  what: string;
}

export function Failure({ error, what }: Props) {
  const cache = useQueryClient();
  if (error instanceof ApiError && (error.status === 401 || error.status === 403))
    return <TokenForm refused={error.message} />;
  return (
    <div className="page notice" role="alert">
      <h1>{what} could not be loaded</h1>
      <p>{error.message}</p>
      <button type="button" onClick={() => void cache.refetchQueries({ type: "active" })}>
        Try again
      </button>
    </div>
  );
}

function TokenForm({ refused }: { refused: string }) {
  const [token, setToken] = useState("");
  return (
    <form
      className="page notice"
      onSubmit={(event) => {
        event.preventDefault();
        keepToken(token.trim());
        window.location.reload();
      }}
    >
      <h1>This service asks for a token</h1>
      <p role="alert">{refused}</p>
      <p className="muted">
        <code>peftsearch serve</code> prints an address that carries one; it is also in the file <code>token</code> of
        the service’s home folder.
      </p>
      <label className="field">
        Token
        <input
          type="password"
          value={token}
          autoComplete="off"
          required
          onChange={(event) => setToken(event.target.value)}
        />
      </label>
      <button type="submit" className="primary">
        Continue
      </button>
    </form>
  );
}
