import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { isRefusal } from "./api/client";
import { adoptTokenFromUrl } from "./api/token";
import { App } from "./shell/app";
import "./styles/index.css";

adoptTokenFromUrl();

/** Asking again helps when the service was not reached or is overloaded, never when it refused. */
const retry = (failures: number, error: Error): boolean => failures < 3 && !isRefusal(error);

const cache = new QueryClient({ defaultOptions: { queries: { retry, staleTime: 1000 } } });

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={cache}>
      <App />
    </QueryClientProvider>
  </StrictMode>,
);
