/** A form in a dialog: its fields, what went wrong, and the two ways out. */
import type { FormEvent, ReactNode, RefObject } from "react";

interface Props {
  dialog: RefObject<HTMLDialogElement | null>;
  label: string;
  wide?: boolean;
  /** What the button that sends it says. */
  send: string;
  sending: boolean;
  problem: string | undefined;
  onSend: () => void;
  onClose: () => void;
  children: ReactNode;
}

export function DialogForm({ dialog, label, wide, send, sending, problem, onSend, onClose, children }: Props) {
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSend();
  };
  return (
    <dialog ref={dialog} className={wide ? "wide" : undefined} aria-label={label} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {problem !== undefined && (
          <p className="reason" role="alert">
            {problem}
          </p>
        )}
        <div className="actions">
          <button type="button" onClick={() => dialog.current?.close()}>
            Leave it
          </button>
          <button type="submit" className="primary" disabled={sending}>
            {send}
          </button>
        </div>
      </form>
    </dialog>
  );
}
