/** A button for what cannot be undone: it asks first. */
import { useRef } from "react";

interface Props {
  name: string;
  /** To whom it is done, such as `job` or `3 jobs`. */
  what: string;
  question: string;
  disabled: boolean;
  onConfirm: () => void;
}

export function Confirmed({ name, what, question, disabled, onConfirm }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <>
      <button type="button" className="danger" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        {name}
      </button>
      <dialog
        ref={dialog}
        aria-label={`${name}?`}
        onClose={(event) => event.currentTarget.returnValue === "yes" && onConfirm()}
      >
        <form method="dialog">
          <p>{question}</p>
          <div className="actions">
            <button type="submit" value="no" autoFocus>
              Keep it
            </button>
            <button type="submit" value="yes" className="danger">
              {name} {what}
            </button>
          </div>
        </form>
      </dialog>
    </>
  );
}
