import { CopyButton } from "./copy-button";

interface Props {
  title: string;
  /** What the copy button copies, in a word. */
  what: string;
  label: string;
  text: string;
}

/** Code or YAML to read, select and copy. */
export function CodeBlock({ title, what, label, text }: Props) {
  return (
    <div className="code-block">
      <div className="code-head">
        <span>{title}</span>
        <CopyButton text={text} what={what} />
      </div>
      <pre tabIndex={0} role="region" aria-label={label}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
