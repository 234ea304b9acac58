/** Why the service refused a change, in a line. */
import { ApiError } from "../api/client";

/** Every problem with its field. */
export const wordsOf = (error: unknown): string =>
  error instanceof ApiError && error.errors.length
    ? error.errors.map(({ field, message }) => (message.includes(field) ? message : `${field}: ${message}`)).join(" ")
    : error instanceof Error
      ? error.message
      : String(error);
