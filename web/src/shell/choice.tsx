/** A word and a menu on one line: what is shown of something. */
interface Props<Value extends string> {
  label: string;
  /** Whether the word is only heard. */
  quiet?: boolean;
  value: Value;
  /** Values, or values with the words that stand for them. */
  options: readonly (Value | readonly [Value, string])[];
  onChange: (value: Value) => void;
}

export function Choice<Value extends string>({ label, quiet, value, options, onChange }: Props<Value>) {
  return (
    <label className="inline">
      {quiet ? <span className="sr-only">{label}</span> : label}
      <select value={value} onChange={({ target }) => onChange(target.value as Value)}>
        {options.map((option) => {
          const [name, words] = typeof option === "string" ? [option, option] : option;
          return (
            <option key={name} value={name}>
              {words}
            </option>
          );
        })}
      </select>
    </label>
  );
}
