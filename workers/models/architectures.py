"""Which classes of text model transformers has heads for, and how it names their bodies. Imports no torch.

From `transformers` 5.23; a test compares it with the one that is installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

_HEADS = {"s": "SequenceClassification", "t": "TokenClassification", "q": "QuestionAnswering", "c": "CausalLM"}
"""Letters of the table below. `CausalLM` stands for decoders alone: encoders with such a class are none."""


@dataclass(frozen=True)
class Architecture:
    """What transformers has of one `model_type`.

    Attributes:
        body: attribute of a model that holds it without its head (`base_model_prefix`).
        heads: endings of the `AutoModelFor…` classes that load it.
    """

    body: str
    heads: frozenset[str]


@cache
def architectures() -> Mapping[str, Architecture]:
    """Architectures by `model_type` of their `config.json`."""
    found: dict[str, Architecture] = {}
    for line in _TABLE.replace("\n  ", " ").strip().splitlines():
        kind, _, names = line.partition(": ")
        body, letters = kind.split()
        one = Architecture(body, frozenset(_HEADS[letter] for letter in letters))
        found |= dict.fromkeys(names.split(), one)
    return MappingProxyType(found)


# The body, letters of the heads: every `model_type` that has them. A head for questions is left out where its class
# names the body otherwise than the others, as Llama's does: it does not find the body in checkpoints of these.
_TABLE = """
albert stq: albert
backbone c: falcon_mamba mamba mamba2 xlstm
bert c: bert-generation
bert stq: bert big_bird megatron-bert
biogpt stc: biogpt
bros t: bros
canine stq: canine
convbert stq: convbert
cpmant c: cpmant
data2vec_text stq: data2vec-text
deberta stq: deberta deberta-v2
distilbert stq: distilbert
electra stq: electra
ernie stq: ernie
esm st: esm
esmc st: esmc
fnet stq: fnet
funnel stq: funnel
git c: git
gpt_neox stqc: gpt_neox
gpt_neox_japanese c: gpt_neox_japanese
gte st: gte
ibert stq: ibert
language_model c: llama4 llama4_text mllama
layoutlm st: layoutlm
layoutlmv2 stq: layoutlmv2
layoutlmv3 stq: layoutlmv3
led q: led
lilt stq: lilt
longformer stq: longformer
luke stq: luke
lxmert q: lxmert
markuplm stq: markuplm
mobilebert stq: mobilebert
model c: afmoe aria_text bailing_hybrid bamba beam bitnet blenderbot blenderbot-small blt cohere cohere2 cohere2_moe
  cwm deepseek_v32 deepseek_v4 dots1 dots3_note dots3_note_text emu3 ernie4_5 ernie4_5_moe exaone_moe falcon_h1
  flex_olmo flint fuyu gemma3n gemma3n_text gemma4 gemma4_assistant gemma4_text gemma4_unified
  gemma4_unified_assistant gemma4_unified_text glm4_moe glm4_moe_lite glm_moe_dsa got_ocr2 granite granite_swa
  granitemoe granitemoe_swa granitemoehybrid granitemoeshared hrm_text hy_v3 hy_v4 hyperclovax inkling2_text
  inkling_text internlm3 iquestcoder jais2 kimi_linear kolibri1 laguna lfm2 lfm2_moe lfm3 longcat_flash marian mellum
  mimo_v2_flash minimax_m2 minimax_m3_vl_text moshi moss_transcribe_diarize musicgen musicgen_melody nanochat
  nemotron_h olmo_hybrid olmoe pegasus phi4_multimodal qwen3_5_moe qwen3_5_moe_text qwen4_exp qwen4_exp_text
  recurrent_gemma solar_open trocr vaultgemma whisper xglm youtu zaya
model sc: cohere_compass_text deepseek_v2 doge gemma3 gemma3_text hunyuan_v1_dense hunyuan_v1_moe jamba jetmoe
  minicpm3 modernbert-decoder olmo olmo2 olmo3 phimoe plbart qwen3_5_text zamba zamba2
model sq: bart mbart mvp
model sqc: bigbird_pegasus opt
model st: eurobert mistral4 modernvbert t5gemma t5gemma2 ultravbert
model stc: arcee axk1 axk2 deepseek_v3 diffllama exaone4 gemma gemma2 glm glm4 gpt_oss helium llama ministral
  nemotron persimmon phi phi3 qwen2 qwen3 qwen3_5 qwen3_moe qwen3_next seed_oss smollm3 stablelm starcoder2
model stq: modernbert ultrabert
model stqc: minimax ministral3 mistral mixtral qwen2_moe
model t: openai_privacy_filter qwen3_asr
model tc: apertus
mpnet stq: mpnet
mra stq: mra
nomic_bert st: nomic_bert
nystromformer stq: nystromformer
perceiver s: perceiver
prophetnet c: prophetnet
reformer sq: reformer
rembert stq: rembert
roberta stq: camembert jina_embeddings_v3 roberta xlm-roberta xlm-roberta-xl xmod
roberta_prelayernorm stq: roberta-prelayernorm
roc_bert stq: roc_bert
roformer stq: roformer
rwkv c: rwkv
splinter q: splinter
tapas s: tapas
transformer c: codegen dbrx
transformer sc: ctrl openai-gpt
transformer sqc: gptj
transformer stc: gpt-sw3 gpt_bigcode
transformer stq: flaubert mt5 squeezebert t5 umt5 xlm
transformer stqc: bloom falcon gpt2 gpt_neo mpt xlnet
yoso stq: yoso
"""
