/** Tags and notes as they stand beside a name, and the form that changes them. */
import { useMutation } from "@tanstack/react-query";
import { useRef, useState } from "react";
import { DialogForm } from "../shell/dialog-form";

export interface Said {
  tags: readonly string[];
  note: string | null;
}

/** Tags as written in one line. */
export const tagsIn = (text: string): string[] => [
  ...new Set(
    text
      .split(",")
      .map((tag) => tag.trim())
      .filter(Boolean),
  ),
];

export function Tags({ tags }: { tags: readonly string[] }) {
  if (tags.length === 0) return null;
  return (
    <span className="tags">
      {tags.map((tag) => (
        <span key={tag} className="chip">
          {tag}
        </span>
      ))}
    </span>
  );
}

interface Props {
  /** Whom it is about, such as `trial 3`. */
  about: string;
  said: Said;
  onSave: (said: { tags: string[]; note: string }) => Promise<unknown>;
}

/** What is said, and a button that opens the form. */
export function Remarks({ about, said, onSave }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [tags, setTags] = useState("");
  const [note, setNote] = useState("");
  const save = useMutation({
    mutationFn: () => onSave({ tags: tagsIn(tags), note }),
    onSuccess: () => dialog.current?.close(),
  });
  const open = () => {
    setTags(said.tags.join(", "));
    setNote(said.note ?? "");
    dialog.current?.showModal();
  };
  return (
    <div className="remarks">
      <Tags tags={said.tags} />
      {said.note && <p className="note">{said.note}</p>}
      <button type="button" className="small" aria-label={`Tags and note of ${about}`} onClick={open}>
        Tags and note
      </button>
      <DialogForm
        dialog={dialog}
        label={`Tags and note of ${about}`}
        send="Save"
        sending={save.isPending}
        problem={save.error?.message}
        onSend={() => save.mutate()}
        onClose={() => save.reset()}
      >
        <label className="field">
          Tags, with commas
          <input value={tags} autoComplete="off" onChange={({ target }) => setTags(target.value)} />
        </label>
        <label className="field">
          Note
          <textarea rows={4} maxLength={10_000} value={note} onChange={({ target }) => setNote(target.value)} />
        </label>
      </DialogForm>
    </div>
  );
}
