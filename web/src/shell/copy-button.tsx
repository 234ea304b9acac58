import { useState } from "react";

/** Copies `text`; says for two seconds that it did, or that the browser refused. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [said, setSaid] = useState("");
  const copy = async () => {
    setSaid(
      await navigator.clipboard.writeText(text).then(
        () => "Copied",
        () => "Not allowed here",
      ),
    );
    setTimeout(() => setSaid(""), 2000);
  };
  return (
    <button type="button" className="small" aria-label={`Copy ${what}`} onClick={() => void copy()}>
      <span aria-live="polite">{said || "Copy"}</span>
    </button>
  );
}
