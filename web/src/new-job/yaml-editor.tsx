/** The job file in an editor that colours YAML, marks problems at their lines and offers what could be written. */
import { autocompletion, type CompletionSource } from "@codemirror/autocomplete";
import { yaml } from "@codemirror/lang-yaml";
import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { type Diagnostic, setDiagnostics } from "@codemirror/lint";
import { Prec } from "@codemirror/state";
import { keymap } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { basicSetup, EditorView } from "codemirror";
import { type RefObject, useEffect, useImperativeHandle, useRef } from "react";
import type { FieldError } from "../api/types";
import { lineOf } from "./line-of-field";

export interface EditorHandle {
  /** Select a line, counted from 1, and go there. */
  show: (line: number) => void;
}

interface Props {
  text: string;
  problems: readonly FieldError[];
  complete: CompletionSource;
  handle: RefObject<EditorHandle | null>;
  onChange: (text: string) => void;
  onSubmit: () => void;
}

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--running)" },
  { tag: [tags.string, tags.content], color: "var(--text)" },
  { tag: tags.comment, color: "var(--text-muted)", fontStyle: "italic" },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: "var(--text-muted)" },
]);

export default function YamlEditor({ text, problems, complete, handle, onChange, onSubmit }: Props) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(null);
  // The editor lives as long as the page; what it calls is of the latest drawing.
  const latest = useRef({ onChange, onSubmit, complete });
  latest.current = { onChange, onSubmit, complete };
  const start = useRef(text);

  useEffect(() => {
    if (!holder.current) return;
    const made = new EditorView({
      parent: holder.current,
      doc: start.current,
      extensions: [
        Prec.highest(
          keymap.of([
            {
              key: "Mod-Enter",
              run: () => {
                latest.current.onSubmit();
                return true;
              },
            },
          ]),
        ),
        basicSetup,
        yaml(),
        syntaxHighlighting(colours),
        autocompletion({ override: [(context) => latest.current.complete(context)] }),
        EditorView.contentAttributes.of({
          id: "job-file",
          "aria-label": "Job file (YAML)",
          spellcheck: "false",
          tabindex: "0",
        }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) latest.current.onChange(update.state.doc.toString());
        }),
      ],
    });
    view.current = made;
    return () => {
      view.current = null;
      made.destroy();
    };
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === text) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
  }, [text]);

  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnosticsOf(editor, problems)));
  }, [problems]);

  useImperativeHandle(handle, () => ({
    show: (line) => {
      const editor = view.current;
      if (!editor) return;
      const { from, to } = editor.state.doc.line(Math.min(line, editor.state.doc.lines));
      editor.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
      editor.focus();
    },
  }));

  return <div ref={holder} className="yaml-editor" />;
}

function diagnosticsOf(editor: EditorView, problems: readonly FieldError[]): Diagnostic[] {
  const { doc } = editor.state;
  return problems.flatMap((problem) => {
    const line = lineOf(doc.toString(), problem.field);
    if (line === null || line > doc.lines) return [];
    const { from, to } = doc.line(line);
    return { from, to, severity: "error" as const, message: problem.message };
  });
}
