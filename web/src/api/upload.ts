/** Sending a file. `fetch` does not tell how much of it has gone. */
import { ApiError } from "./client";
import type { UploadView } from "./openapi";
import { readToken } from "./token";
import type { ProblemDetails } from "./types";

/** Send a file of data; `onProgress` is told which share of it has gone, from 0 to 1. */
export function sendFile(file: File, onProgress: (share: number) => void): Promise<UploadView> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `v1/uploads?${new URLSearchParams({ name: file.name })}`);
    const token = readToken();
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const { status, response } = request;
      if (status < 300) resolve(response as UploadView);
      else
        reject(new ApiError(status, (response as Partial<ProblemDetails> | null) ?? { title: `refused: ${status}` }));
    });
    request.addEventListener("error", () => reject(new ApiError(0, { title: "the service cannot be reached" })));
    request.send(file);
  });
}
