/** The service itself, for operators: who works on what, and who may ask. */
import { request } from "./client";
import type { NewTokenView, SystemView, TokenRequest, TokenView } from "./openapi";

const json = async <T>(path: string, options?: Parameters<typeof request>[1]): Promise<T> =>
  (await request(path, options)).json() as Promise<T>;

const posted = (body: object) => ({
  method: "POST" as const,
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

export const getSystem = (signal?: AbortSignal) => json<SystemView>("system", { signal });
export const listTokens = async (signal?: AbortSignal) =>
  (await json<{ items: TokenView[] }>("tokens", { signal })).items;
export const makeToken = (token: TokenRequest) => json<NewTokenView>("tokens", posted(token));
export const rotateToken = (id: string, overlap: number) =>
  json<NewTokenView>(`tokens/${id}/rotate`, posted({ overlap }));
export const revokeToken = (id: string) => json<TokenView>(`tokens/${id}`, { method: "DELETE" });
