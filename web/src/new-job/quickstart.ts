/** What the editor starts with: the job of the quickstart, small enough to end within minutes on two cores. */
export const QUICKSTART = `name: my first search
task:
  model: builtin:minilm        # or a folder, or a hub id
  train: builtin:pydocs        # or a csv, jsonl or parquet file under a data root
  validation: 0.2              # a fraction of train, or a file like it
  train_rows: 1500
  max_length: 64
space: {preset: lora}
objectives:
  - {metric: accuracy, direction: maximize}
  - {metric: trainable_params, direction: minimize}
budget: {trials: 16, epochs: 2}
seed: 0
`;
