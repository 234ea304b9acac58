"""Names of files in the folder of an exported adapter. Imports no torch."""

PEFT_CONFIG, PEFT_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TASK_FILE = "peftsearch_task.json"
TERNARY_FILE = "adapter.ternary"
