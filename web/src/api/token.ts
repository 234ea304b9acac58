/** The access token: taken from `?token=` once, kept for this tab only, and removed from the address bar. */

const KEY = "peftsearch-token";

/** Call before anything is fetched. */
export function adoptTokenFromUrl(): void {
  const url = new URL(window.location.href);
  const token = url.searchParams.get("token");
  if (token === null) return;
  sessionStorage.setItem(KEY, token);
  url.searchParams.delete("token");
  window.history.replaceState(null, "", url);
}

export const readToken = (): string | null => sessionStorage.getItem(KEY);

export const keepToken = (token: string): void => sessionStorage.setItem(KEY, token);
