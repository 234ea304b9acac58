/** JSON values as YAML text, for showing a job's spec and for starting a new job from it. */
import { Document, isCollection, isMap, isPair, isScalar, visit } from "yaml";
import type { Json } from "../api/types";

/** Block style; within it lists of scalars, small mappings of scalars and empty collections stay on one line. */
export function toYaml(value: Json): string {
  // The service reads YAML 1.1, where `yes` and `08:30` are no words.
  const document = new Document(value, { version: "1.1" });
  visit(document, {
    Collection(_, node) {
      const scalars = node.items.every((item) => isPlain(isPair(item) ? item.value : item));
      node.flow = node !== document.contents && scalars && (!isMap(node) || node.items.length <= 2);
    },
  });
  return document.toString({ flowCollectionPadding: false, lineWidth: 0 });
}

/** A scalar, or a collection without items. */
const isPlain = (node: unknown): boolean => isScalar(node) || (isCollection(node) && node.items.length === 0);
