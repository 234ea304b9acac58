import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/** Writes each text a second time as the service sends it: to compress it anew for every reader costs more than to read it. */
const compressed: Plugin = {
  name: "compressed",
  apply: "build",
  // As they were written: plugins still change what is in the bundle before.
  writeBundle({ dir = "dist" }, bundle) {
    for (const name of Object.keys(bundle).filter((one) => /^assets\/.*\.(js|css)$/.test(one)))
      writeFileSync(join(dir, `${name}.gz`), gzipSync(readFileSync(join(dir, name)), { level: 9 }));
  },
};

// Relative asset paths and hash routes: the API serves the files at `/`, a proxy may put them anywhere.
export default defineConfig({
  base: "./",
  plugins: [react(), compressed],
  build: {
    target: "es2022",
    // ECharts is one chunk of about 600 kB, Swagger UI one of 1.7 MB; they change less often than our code, so
    // browsers keep them.
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      // The API reference is a page of its own: Swagger UI is larger than the whole dashboard.
      input: ["index.html", "reference.html"],
      output: {
        codeSplitting: {
          groups: [
            { name: "charts", test: /node_modules[\\/](echarts|zrender)/ },
            { name: "arrow", test: /node_modules[\\/](apache-arrow|flatbuffers|json-with-bigint)/ },
            {
              name: "editor",
              test: /node_modules[\\/](codemirror|@codemirror|@lezer|@marijn|crelt|style-mod|w3c-keyname)/,
            },
            { name: "react", test: /node_modules[\\/](react|react-dom|scheduler|@tanstack)/ },
          ],
        },
      },
    },
  },
  test: { css: { include: /tokens/ } },
  // The editor starts with ../examples/quickstart.yaml.
  server: { fs: { allow: [".."] }, proxy: { "/v1": "http://127.0.0.1:8765" } },
});
