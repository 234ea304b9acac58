/** API tokens: make, rotate, revoke. A secret is shown once, when it is made. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { TokenView } from "../api/openapi";
import { listTokens, makeToken, revokeToken, rotateToken } from "../api/system";
import { CodeBlock } from "../shell/code-block";
import { moment } from "../text/time";
import { TokenForm } from "./token-form";
import { TableFrame } from "../shell/table-frame";

const KEY = ["tokens"];
/** Seconds for which a rotated token is good, too: an hour to change it where it is used. */
const OVERLAP = 3600;

export function TokensPanel() {
  const cache = useQueryClient();
  const tokens = useQuery({ queryKey: KEY, queryFn: ({ signal }) => listTokens(signal) });
  const onSuccess = () => cache.invalidateQueries({ queryKey: KEY });
  const make = useMutation({ mutationFn: makeToken, onSuccess });
  const rotate = useMutation({ mutationFn: (id: string) => rotateToken(id, OVERLAP), onSuccess });
  const revoke = useMutation({ mutationFn: revokeToken, onSuccess });
  const made = [make, rotate].filter((one) => one.data).sort((a, b) => b.submittedAt - a.submittedAt)[0]?.data;
  const error = tokens.error ?? make.error ?? rotate.error ?? revoke.error;
  return (
    <section aria-label="Tokens">
      <h2>Tokens</h2>
      <TokenForm busy={make.isPending} onMake={(token) => make.mutate(token)} />
      {error && (
        <p className="reason" role="alert">
          {error.message}
        </p>
      )}
      {made && (
        <div role="status">
          <CodeBlock
            title={`The secret of ${made.name}: it is shown this once`}
            what="secret"
            label="Secret"
            text={made.secret}
          />
        </div>
      )}
      <TableFrame>
        <table aria-label="Tokens">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">May</th>
              <th scope="col">Project</th>
              <th scope="col">Made</th>
              <th scope="col">Ends</th>
              <th scope="col">Actions</th>
            </tr>
          </thead>
          <tbody>
            {(tokens.data ?? []).map((token) => (
              <TokenRow key={token.id} token={token} onRotate={rotate.mutate} onRevoke={revoke.mutate} />
            ))}
          </tbody>
        </table>
      </TableFrame>
    </section>
  );
}

interface RowProps {
  token: TokenView;
  onRotate: (id: string) => void;
  onRevoke: (id: string) => void;
}

function TokenRow({ token, onRotate, onRevoke }: RowProps) {
  return (
    <tr>
      <th scope="row">{token.name}</th>
      <td>{token.scopes.join(", ")}</td>
      <td>{token.project}</td>
      <td>{moment(token.created_at)}</td>
      <td>{ending(token)}</td>
      <td>
        {token.revoked_at === null && (
          <span className="actions">
            <button
              type="button"
              className="small"
              aria-label={`Rotate ${token.name}`}
              title="A new secret; the old one is good for another hour"
              onClick={() => onRotate(token.id)}
            >
              Rotate
            </button>
            <button
              type="button"
              className="small danger"
              aria-label={`Revoke ${token.name}`}
              onClick={() => {
                if (window.confirm(`Revoke ${token.name}? Whoever uses it is refused from now on.`)) onRevoke(token.id);
              }}
            >
              Revoke
            </button>
          </span>
        )}
      </td>
    </tr>
  );
}

function ending({ revoked_at, expires_at }: TokenView): string {
  if (revoked_at) return `revoked ${moment(revoked_at)}`;
  return expires_at ? moment(expires_at) : "never";
}
