/* senvec: sentence vectors on CPUs.
 *
 * The public interface. Open a model once, share it between threads; give every thread a session of its own:
 *
 *     senvec_error err;
 *     senvec_model *model;
 *     senvec_session *session;
 *     if (senvec_model_open("path/to/all-MiniLM-L6-v2", NULL, &model, &err) != SENVEC_OK) {
 *         fprintf(stderr, "%s\n", err.message);
 *         return 1;
 *     }
 *     senvec_session_open(model, NULL, &session, &err);
 *     senvec_text texts[2] = {{"a sentence", 10}, {"another", 7}};
 *     float vectors[2 * 384];
 *     senvec_embed(session, texts, 2, vectors, 384, NULL, &err);
 *     senvec_session_free(session);
 *     senvec_model_free(model);
 *
 * Rules that hold for every function here:
 * - A function that can fail returns SENVEC_OK (0) or a negative status. On failure its outputs are untouched, and `err`, if it
 *   isn't NULL, holds one line that says what failed, where, why and what to do about it.
 * - Nothing prints, exits or aborts. Nothing that is returned has to be given to free(); each object has its own `_free`, which
 *   accepts NULL.
 * - A model is immutable once open: any number of threads and sessions may use it. A session serves one call at a time and owns
 *   all the memory that the call needs, so a warm call allocates nothing. A model must outlive its sessions.
 * - Results: a text's vector has the same bits alone or in any batch, in any order, with any number of threads, for a given
 *   precision and ISA tier.
 */
#ifndef SENVEC_H
#define SENVEC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SENVEC_API __attribute__((visibility("default")))

#define SENVEC_VERSION_MAJOR 0
#define SENVEC_VERSION_MINOR 1
#define SENVEC_VERSION_PATCH 0
#define SENVEC_VERSION "0.1.0"

/* ---------------------------------------------------------------- status */

/* Every status: name, value, text. One list, so that names and texts can't drift apart. */
#define SENVEC_STATUS_MAP(X)                                                                                                   \
    X(SENVEC_OK, 0, "done")                                                                                                    \
    X(SENVEC_INVALID_ARGUMENT, -1, "invalid argument")                                                                         \
    X(SENVEC_OUT_OF_MEMORY, -2, "out of memory")                                                                               \
    X(SENVEC_NOT_FOUND, -3, "not found")                                                                                       \
    X(SENVEC_IO, -4, "input or output failed")                                                                                 \
    X(SENVEC_FORMAT, -5, "malformed data")                                                                                     \
    X(SENVEC_UNSUPPORTED, -6, "not supported")                                                                                 \
    X(SENVEC_TOO_LARGE, -7, "a limit is exceeded")                                                                             \
    X(SENVEC_INTEGRITY, -8, "integrity check failed")                                                                          \
    X(SENVEC_NETWORK, -9, "network request failed")                                                                            \
    X(SENVEC_CANCELLED, -10, "cancelled")                                                                                      \
    X(SENVEC_SYSTEM, -11, "the operating system refused")

typedef enum senvec_status {
#define SENVEC_STATUS_ENUM(name, value, text) name = value,
    SENVEC_STATUS_MAP(SENVEC_STATUS_ENUM)
#undef SENVEC_STATUS_ENUM
} senvec_status;

/* What went wrong. Owned by the caller; written only when a call fails. */
typedef struct senvec_error {
    senvec_status code;
    uint64_t offset;    /* byte offset in the input, where one is known; else 0 */
    char message[1000]; /* one line, NUL-terminated UTF-8, no newline */
} senvec_error;

/* The name of a status ("SENVEC_IO") and its text ("input or output failed"); "unknown status" for any other value. Static
 * strings. */
SENVEC_API const char *senvec_status_name(senvec_status status);
SENVEC_API const char *senvec_status_text(senvec_status status);

/* The library's version, as SENVEC_VERSION was when it was built. */
SENVEC_API const char *senvec_version(void);

/* ----------------------------------------------------------------- model */

/* A text: `length` bytes of UTF-8, no terminator needed; may hold NUL bytes. Invalid bytes are read as U+FFFD (one for each
 * maximal invalid part, as Python's errors="replace" does) and counted. `data` may be NULL where `length` is 0. */
typedef struct senvec_text {
    const char *data;
    size_t length;
} senvec_text;

/* Every precision: name, value, text. */
#define SENVEC_PRECISION_MAP(X)                                                                                                \
    X(SENVEC_PRECISION_AUTO, 0, "auto") /* the fastest that this build has for this CPU and keeps the accuracy promise */      \
    X(SENVEC_PRECISION_FP32, 1, "fp32")                                                                                        \
    X(SENVEC_PRECISION_BF16, 2, "bf16") /* where the CPU has no bf16 instructions: fp32, and a warning in the log */           \
    X(SENVEC_PRECISION_INT8, 3, "int8")

typedef enum senvec_precision {
#define SENVEC_PRECISION_ENUM(name, value, text) name = value,
    SENVEC_PRECISION_MAP(SENVEC_PRECISION_ENUM)
#undef SENVEC_PRECISION_ENUM
} senvec_precision;

/* The text of a precision ("int8"); "unknown precision" for any other value. A static string. */
SENVEC_API const char *senvec_precision_name(senvec_precision precision);

typedef enum senvec_log_level { SENVEC_LOG_ERROR = 0, SENVEC_LOG_WARNING = 1, SENVEC_LOG_INFO = 2 } senvec_log_level;

/* Receives one line without a newline. May be called from any thread that is inside a senvec call. */
typedef void senvec_log_fn(void *context, senvec_log_level level, const char *line);

/* Where memory comes from. `alloc` returns `size` bytes aligned to at least `alignment` (a power of two, at most 4096) or NULL;
 * `free` accepts what `alloc` returned, with the same size. Both must be thread safe. */
typedef struct senvec_allocator {
    void *(*alloc)(void *context, size_t size, size_t alignment);
    void (*free)(void *context, void *block, size_t size);
    void *context;
} senvec_allocator;

/* Calibration makes the int8 weights of a model: the model embeds senvec's own sample texts in fp32, on all CPUs that the
 * process may use, and its weights are rounded such that the vectors change least. That takes seconds (a minute for BERT-base),
 * so the result is kept in a file and made once for each model. A file is used only if it was made from the same weights,
 * belongs to this user or to root, and can't be written by anybody else. Every choice: name, value, text. */
#define SENVEC_CALIBRATION_MAP(X)                                                                                              \
    X(SENVEC_CALIBRATION_CACHE, 0, "cache")   /* from a file, else calibrate and keep the result in the cache folder */        \
    X(SENVEC_CALIBRATION_BESIDE, 1, "beside") /* the same, but keep it beside the model's files where they can be written */   \
    X(SENVEC_CALIBRATION_MEMORY, 2, "memory") /* from a file, else calibrate; nothing is written */                            \
    X(SENVEC_CALIBRATION_NEVER, 3, "never")   /* from a file, else NOT_FOUND, with a message that says what to do */

typedef enum senvec_calibration {
#define SENVEC_CALIBRATION_ENUM(name, value, text) name = value,
    SENVEC_CALIBRATION_MAP(SENVEC_CALIBRATION_ENUM)
#undef SENVEC_CALIBRATION_ENUM
} senvec_calibration;

/* Zero means "the default" in every field, so `senvec_model_options options = {0};` is a full set. */
typedef struct senvec_model_options {
    senvec_precision precision; /* default: SENVEC_PRECISION_AUTO */
    const char *cpu;            /* ISA mask, e.g. "ref", "avx2", "avx512"; default: $SENVEC_CPU, else all that was detected */
    size_t max_seq_length;      /* tokens, [CLS] and [SEP] included; default: the model's own; at most its position table */
    const senvec_allocator *allocator; /* default: the C library's; copied */
    senvec_log_fn *log;                /* default: silent */
    void *log_context;
    senvec_calibration calibration; /* default: SENVEC_CALIBRATION_CACHE */
    const char *cache_folder;       /* where senvec keeps calibrations and other computed files; default: $SENVEC_CACHE,
                                       $XDG_CACHE_HOME/senvec,
                                       ~/.cache/senvec */
    int tokenizer_only;             /* 1: the weights aren't read; the model tokenizes, but can't open a session */
    int share_weights; /* 1: the packed int8 weights are kept in a file of the cache folder, which every process that opens the
                          same model maps, so they are in memory once; if the file can't be made, the log says why and the
                          process keeps its own copy. Sessions then have small pages as well. Default: in the process's own
                          memory, on huge pages */
} senvec_model_options;

typedef struct senvec_model senvec_model;

/* What a model is for. Every task: name, value, text. */
#define SENVEC_TASK_MAP(X)                                                                                                     \
    X(SENVEC_TASK_EMBEDDING, 0, "embedding")   /* a vector of a text: senvec_embed */                                          \
    X(SENVEC_TASK_RERANKER, 1, "reranker")     /* one score of a pair of texts: senvec_score_pairs */                          \
    X(SENVEC_TASK_CLASSIFIER, 2, "classifier") /* scores of several labels, of a text or a pair: senvec_score_pairs */         \
    X(SENVEC_TASK_SPARSE, 3, "sparse")         /* weights of the vocabulary's words: senvec_embed_sparse */

typedef enum senvec_task {
#define SENVEC_TASK_ENUM(name, value, text) name = value,
    SENVEC_TASK_MAP(SENVEC_TASK_ENUM)
#undef SENVEC_TASK_ENUM
} senvec_task;

/* The text of a task ("reranker"); "unknown task" for any other value. A static string. */
SENVEC_API const char *senvec_task_name(senvec_task task);

/* What is done to a classifier's logits. Every choice: name, value, text. */
#define SENVEC_ACTIVATION_MAP(X)                                                                                               \
    X(SENVEC_ACTIVATION_AUTO, 0, "auto") /* as the model says; where it doesn't: sigmoid of one label, none of several */      \
    X(SENVEC_ACTIVATION_NONE, 1, "none") /* logits */                                                                          \
    X(SENVEC_ACTIVATION_SIGMOID, 2, "sigmoid")                                                                                 \
    X(SENVEC_ACTIVATION_SOFTMAX, 3, "softmax") /* over the labels */

typedef enum senvec_activation {
#define SENVEC_ACTIVATION_ENUM(name, value, text) name = value,
    SENVEC_ACTIVATION_MAP(SENVEC_ACTIVATION_ENUM)
#undef SENVEC_ACTIVATION_ENUM
} senvec_activation;

/* The text of an activation ("sigmoid"); "unknown activation" for any other value. A static string. */
SENVEC_API const char *senvec_activation_name(senvec_activation activation);

/* The side on which a text that is too long loses tokens. The ids of the template ([CLS], [SEP]) always stay. Every choice:
 * name, value, text. */
#define SENVEC_TRUNCATION_MAP(X)                                                                                               \
    X(SENVEC_TRUNCATION_AUTO, 0, "auto")   /* as the model's tokenizer says; right for nearly all models */                    \
    X(SENVEC_TRUNCATION_RIGHT, 1, "right") /* the beginning of the text is kept */                                             \
    X(SENVEC_TRUNCATION_LEFT, 2, "left")   /* the end of the text is kept */

typedef enum senvec_truncation {
#define SENVEC_TRUNCATION_ENUM(name, value, text) name = value,
    SENVEC_TRUNCATION_MAP(SENVEC_TRUNCATION_ENUM)
#undef SENVEC_TRUNCATION_ENUM
} senvec_truncation;

/* Opens a model: a sentence-transformers directory with an encoder of the BERT family (modules.json, config.json,
 * model.safetensors, tokenizer.json or vocab.txt, ...), or a native file written by senvec_quantize, which computes in int8.
 * senvec_model_info.task says what the model is for. A checkpoint without modules.json is a reranker or classifier if its class
 * is ...ForSequenceClassification, and a sparse embedder if its class is ...ForMaskedLM. `options` may be NULL. Weights are
 * mapped from the files where possible, so the files must not change while the model is open. AUTO chooses int8 where the CPU
 * computes it fast; the first int8 opening of a directory calibrates the model, which takes seconds, starts threads and writes
 * a file (see senvec_calibration). A session doesn't survive fork: open the model before fork and the sessions after it.
 * Errors: NOT_FOUND (no such directory or file), FORMAT (a broken file; err->offset where known), UNSUPPORTED (another
 * architecture, activation, module or tokenizer: the message names it), TOO_LARGE, OUT_OF_MEMORY, INVALID_ARGUMENT. */
SENVEC_API senvec_status senvec_model_open(const char *directory, const senvec_model_options *options, senvec_model **out,
                                           senvec_error *err);
SENVEC_API void senvec_model_free(senvec_model *model);

typedef struct senvec_quantize_options {
    const senvec_text *texts; /* sample texts for the calibration; default: senvec's own */
    size_t count;             /* number of texts; 0: the default texts */
    const char *cpu;          /* this and the members below: as in senvec_model_options */
    const senvec_allocator *allocator;
    senvec_log_fn *log;
    void *log_context;
} senvec_quantize_options;

/* Writes the model in a sentence-transformers directory to the native file `path`, whole or not at all: the linear layers in
 * int8 and everything else that the model needs, so that the file can be opened alone. The file gives the same vectors as the
 * directory does in int8, bit for bit, unless the caller brings calibration texts. Takes seconds. `options` may be NULL.
 * Errors: as senvec_model_open; IO. */
SENVEC_API senvec_status senvec_quantize(const char *directory, const char *path, const senvec_quantize_options *options,
                                         senvec_error *err);

/* A prompt: a text that is put before each text to embed, chosen by its name ("query" -> "query: "). */
typedef struct senvec_prompt {
    const char *name, *text;
} senvec_prompt;

/* Facts about an open model. Strings live as long as the model. */
typedef struct senvec_model_info {
    const char *directory;       /* or file */
    const char *tier;            /* ISA tier in use: "ref", "avx2", "avx512", ... */
    senvec_precision precision;  /* the precision in use, never AUTO */
    const char *pooling;         /* "mean", "cls", ...; "cls+mean" where the vectors of several poolings are joined */
    int normalized;              /* 1: vectors have length 1 */
    size_t dimensions;           /* floats in a vector */
    size_t max_seq_length;       /* tokens kept of a text, [CLS] and [SEP] included */
    size_t layers, heads, inner; /* L, A, I */
    size_t vocabulary;           /* V */
    uint64_t parameters;
    uint64_t linear_macs;   /* multiply-accumulates of the linear layers for one token */
    uint64_t memory_bytes;  /* allocated by the model, mapped files not counted */
    uint64_t mapped_bytes;  /* mapped from files */
    const char *name;       /* "all-MiniLM-L6-v2": the name of the folder or file, or "org/name" if it lies in a model cache */
    uint64_t weights_bytes; /* size of the files that hold the weights */
    size_t most_dimensions; /* the most that a call may ask for: more than `dimensions` if the model's truncate_dim cuts its
                               vectors */
    const senvec_prompt *prompts; /* (prompt_count) */
    size_t prompt_count;
    const char *default_prompt_name; /* the prompt that each text gets unless a call says otherwise; NULL: none */
    const char *space_id;            /* see senvec_model_space_id; NULL while it isn't known */
    senvec_task task;
    const char *architecture;     /* "bert", "xlm-roberta", "mpnet", ...: config.json's model_type */
    size_t labels;                /* scores of a pair: 1 for a reranker, more for a classifier, 0 for other models */
    senvec_activation activation; /* what AUTO means for this reranker or classifier */
    size_t hidden;                /* floats of a token's vector (H) */
    /* The fields from here to cosine_least describe a model that runs in int8; for other models they are NULL and 0. */
    const char *wide_layers;         /* the linear layers that int8 can't hold, as "4.down, 6.qkv"; "": there are none */
    senvec_precision wide_precision; /* what these layers are computed in: BF16, or FP32 where the CPU has no product in bf16 */
    uint64_t wide_macs;              /* their multiply-accumulates for one token */
    double cosine_mean, cosine_least; /* with the vectors of fp32, as calibration measured them on texts of senvec's own */
    senvec_truncation truncation;     /* what AUTO means for this model: RIGHT or LEFT */
} senvec_model_info;

SENVEC_API void senvec_model_describe(const senvec_model *model, senvec_model_info *out);

/* The space id says which vectors can be compared: models with the same space id give vectors of one space. The id is a SHA-256
 * of the weights, the tokenizer, pooling and the modules after it, prompts, dimensions and max_seq_length. It doesn't depend on
 * whether the weights lie in one file, in several, or in a native file made from them. Precision and instruction set aren't
 * part of it, because they change vectors only slightly: store them beside the id. `out` gets 64 hexadecimal digits and a NUL.
 * The first call for a model reads all its weights, which takes a tenth of a second for 100 MB; the result is remembered in the
 * cache folder by the sizes, times and inodes of the files, and senvec_model_describe has it from then on. Thread safe. Errors:
 * IO (the files were changed or can't be read again), UNSUPPORTED (a model with tokenizer_only), OUT_OF_MEMORY,
 * INVALID_ARGUMENT. */
#define SENVEC_SPACE_ID_SIZE 65
SENVEC_API senvec_status senvec_model_space_id(const senvec_model *model, char out[SENVEC_SPACE_ID_SIZE], senvec_error *err);

/* --------------------------------------------------------------- session */

typedef struct senvec_session_options {
    size_t threads; /* default: what the CPU quota and the affinity mask allow; at most 256 */
} senvec_session_options;

typedef struct senvec_session senvec_session;

/* Makes a session and its threads. `options` may be NULL. Errors: OUT_OF_MEMORY, SYSTEM (no thread), INVALID_ARGUMENT. */
SENVEC_API senvec_status senvec_session_open(const senvec_model *model, const senvec_session_options *options,
                                             senvec_session **out, senvec_error *err);
SENVEC_API void senvec_session_free(senvec_session *session);

/* Threads that work for the session, the caller's included. */
SENVEC_API size_t senvec_session_threads(const senvec_session *session);

/* What a call did. */
typedef struct senvec_embed_stats {
    uint64_t tokens;       /* computed, [CLS] and [SEP] included */
    uint64_t truncated;    /* texts cut to max_seq_length */
    uint64_t invalid_utf8; /* texts with at least one invalid byte */
} senvec_embed_stats;

/* Embeds `count` texts: vector i goes to out[i * stride], `dimensions` floats; stride is in floats and at least `dimensions`.
 * Any count, 0 included. An empty text gives the vector of [CLS] [SEP], as sentence-transformers does. `stats` may be NULL;
 * otherwise the call's figures are added to it. A warm call allocates nothing, except for a word of hundreds of bytes if the
 * tokenizer is Unigram or BPE. Errors: INVALID_ARGUMENT (a NULL pointer, a stride too small), OUT_OF_MEMORY (for such a word),
 * FORMAT (a vector isn't finite because the model's weights overflow; `out` must not be used then), UNSUPPORTED (the caller is
 * a child of the process that opened the session: open sessions after fork). */
SENVEC_API senvec_status senvec_embed(senvec_session *session, const senvec_text *texts, size_t count, float *out,
                                      size_t stride, senvec_embed_stats *stats, senvec_error *err);

/* Whether vectors are divided by their length. Every choice: name, value, text. */
#define SENVEC_NORMALIZE_MAP(X)                                                                                                \
    X(SENVEC_NORMALIZE_AUTO, 0, "auto") /* as the model's modules say */                                                       \
    X(SENVEC_NORMALIZE_ON, 1, "on")     /* every vector has length 1 */                                                        \
    X(SENVEC_NORMALIZE_OFF, 2, "off")   /* if the model's last module is Normalize, it is left out */

typedef enum senvec_normalize {
#define SENVEC_NORMALIZE_ENUM(name, value, text) name = value,
    SENVEC_NORMALIZE_MAP(SENVEC_NORMALIZE_ENUM)
#undef SENVEC_NORMALIZE_ENUM
} senvec_normalize;

/* Zero means "the default" in every field. */
typedef struct senvec_embed_options {
    senvec_normalize normalize; /* default: SENVEC_NORMALIZE_AUTO */
    size_t dimensions;       /* keeps the first floats of each vector; default: all of the model's. ON normalises the shortened
                                vector, AUTO doesn't */
    const char *prompt_name; /* the name of the model's prompt to put before each text; default: its default prompt, if it has
                                one. Every model has "query" and "document"; they are empty if the model doesn't define them */
    const char *prompt;      /* the text of a prompt to use instead, "" for none; `prompt_name` is ignored then */
    senvec_truncation truncation; /* the side on which a text that is too long is cut; default: SENVEC_TRUNCATION_AUTO. LEFT
                                     cuts the prompt first, since the prompt stands before the text */
} senvec_embed_options;

/* senvec_embed with options for all texts of the call. `options` may be NULL, which means the defaults. Normalising a vector of
 * length 0 leaves it 0. Errors: as senvec_embed; INVALID_ARGUMENT (an unknown option value, more dimensions than
 * most_dimensions, a prompt that the model doesn't have), OUT_OF_MEMORY (a long text with a prompt). */
SENVEC_API senvec_status senvec_embed_with(senvec_session *session, const senvec_text *texts, size_t count,
                                           const senvec_embed_options *options, float *out, size_t stride,
                                           senvec_embed_stats *stats, senvec_error *err);

/* senvec_embed_with with separate options for each text: options[i], which may be NULL, belongs to text i. The stride is at
 * least the largest number of dimensions that any text asks for. */
SENVEC_API senvec_status senvec_embed_each(senvec_session *session, const senvec_text *texts, size_t count,
                                           const senvec_embed_options *const *options, float *out, size_t stride,
                                           senvec_embed_stats *stats, senvec_error *err);

/* ---------------------------------------------------------------- scores */

/* A query and a passage, a premise and a hypothesis, ... */
typedef struct senvec_pair {
    senvec_text first, second;
} senvec_pair;

/* Zero means "the default" in every field. */
typedef struct senvec_score_options {
    senvec_activation activation; /* default: SENVEC_ACTIVATION_AUTO */
    int single;                   /* 1: `second` is ignored and `first` is scored as a single text */
    senvec_truncation truncation; /* the side on which both texts of a pair that is too long are cut; default:
                                     SENVEC_TRUNCATION_AUTO */
} senvec_score_options;

/* Scores `count` pairs with a reranker or classifier: the scores of pair i go to out[i * stride], one float for each label;
 * stride is in floats and at least the number of labels. A pair that is too long loses tokens of its longer text first, as in
 * transformers ("longest_first"). `options` and `stats` may be NULL; a pair counts as one text. Same bits for a pair alone and
 * in any batch. A warm call allocates nothing. Errors: UNSUPPORTED (the model is neither a reranker nor a classifier, or its
 * tokenizer takes no pairs), INVALID_ARGUMENT (a NULL pointer, a stride too small, an unknown option value). */
SENVEC_API senvec_status senvec_score_pairs(senvec_session *session, const senvec_pair *pairs, size_t count,
                                            const senvec_score_options *options, float *out, size_t stride,
                                            senvec_embed_stats *stats, senvec_error *err);

/* The name of label `index` of a reranker or classifier ("LABEL_0", "entailment"), NUL-terminated, for as long as the model
 * lives; NULL if there is no such label. Thread safe. */
SENVEC_API const char *senvec_label_name(const senvec_model *model, size_t index);

/* ----------------------------------------------------- words and tokens */

/* A word of the vocabulary and its weight, which isn't 0. */
typedef struct senvec_weight {
    uint32_t id; /* senvec_token_text has its text */
    float value;
} senvec_weight;

/* Embeds `count` texts with a sparse embedder (SPLADE): text i's words go to out[i * capacity], counts[i] of them, ids
 * ascending. If a text has more than `capacity` words, those with the greatest weights are kept, and among equal weights those
 * with the lower ids; a capacity of the whole vocabulary keeps all. `stats` may be NULL. Same bits for a text alone and in any
 * batch. Errors: UNSUPPORTED (the model isn't a sparse embedder), INVALID_ARGUMENT (a NULL pointer, a capacity of 0). */
SENVEC_API senvec_status senvec_embed_sparse(senvec_session *session, const senvec_text *texts, size_t count,
                                             senvec_weight *out, size_t capacity, size_t *counts, senvec_embed_stats *stats,
                                             senvec_error *err);

/* senvec_embed_sparse with another prompt than the model's own, or another side of truncation: `prompt`, `prompt_name` and
 * `truncation` of the options, which count as in senvec_embed_with. `options` may be NULL. Errors besides: INVALID_ARGUMENT
 * (`normalize` isn't AUTO, `dimensions` isn't 0, an unknown option value, no such prompt), OUT_OF_MEMORY (a long text with a
 * prompt). */
SENVEC_API senvec_status senvec_embed_sparse_with(senvec_session *session, const senvec_text *texts, size_t count,
                                                  const senvec_embed_options *options, senvec_weight *out, size_t capacity,
                                                  size_t *counts, senvec_embed_stats *stats, senvec_error *err);

/* The vectors of all tokens of each text, [CLS] and [SEP] included, as the encoder's last layer gives them: before pooling,
 * not normalised. Text i has counts[i] vectors of `hidden` floats (senvec_model_info), whatever the modules after pooling make
 * of the text's vector; they follow those of text i - 1, from `out` on. The model's default prompt is put before each text.
 * `capacity` is the room in `out`, in vectors; count * max_seq_length always suffices. For embedders only. `stats` may be NULL.
 * Errors: TOO_LARGE (more tokens than `capacity`), UNSUPPORTED (not an embedder), INVALID_ARGUMENT. */
SENVEC_API senvec_status senvec_embed_tokens(senvec_session *session, const senvec_text *texts, size_t count, float *out,
                                             size_t capacity, size_t *counts, senvec_embed_stats *stats, senvec_error *err);

/* senvec_embed_tokens with another prompt than the model's own, or another side of truncation: `prompt`, `prompt_name` and
 * `truncation` of the options, which count as in senvec_embed_with. With `normalize` ON, each token's vector is divided by its
 * length. `options` may be NULL. Errors besides: INVALID_ARGUMENT (`dimensions` isn't 0, an unknown option value, or no such
 * prompt). */
SENVEC_API senvec_status senvec_embed_tokens_with(senvec_session *session, const senvec_text *texts, size_t count,
                                                  const senvec_embed_options *options, float *out, size_t capacity,
                                                  size_t *counts, senvec_embed_stats *stats, senvec_error *err);

/* Tokenizes one text to ids, [CLS] and [SEP] included, cut to max_seq_length. `ids` has room for `capacity` ids; *count gets
 * the number that was written. `stats` as above. Thread safe. Errors: TOO_LARGE (capacity below the number of ids;
 * max_seq_length always suffices), INVALID_ARGUMENT. */
SENVEC_API senvec_status senvec_tokenize(const senvec_model *model, senvec_text text, uint32_t *ids, size_t capacity,
                                         size_t *count, senvec_embed_stats *stats, senvec_error *err);

/* senvec_tokenize with a side of truncation: the ids of the text as senvec_embed_with cuts it, without a prompt. Errors
 * besides: INVALID_ARGUMENT (an unknown side). */
SENVEC_API senvec_status senvec_tokenize_with(const senvec_model *model, senvec_text text, senvec_truncation truncation,
                                              uint32_t *ids, size_t capacity, size_t *count, senvec_embed_stats *stats,
                                              senvec_error *err);

/* Tokenizes a pair of texts to the ids that senvec_score_pairs computes with, cut to max_seq_length. `ids` and `types`, the
 * token types, have room for max_seq_length numbers each; `types` may be NULL. *count gets the number that was written. `stats`
 * as above. Thread safe. Errors: UNSUPPORTED (the tokenizer takes no pairs, or max_seq_length has no room for one),
 * INVALID_ARGUMENT, OUT_OF_MEMORY. */
SENVEC_API senvec_status senvec_tokenize_pair(const senvec_model *model, const senvec_pair *pair, senvec_truncation truncation,
                                              uint32_t *ids, uint32_t *types, size_t *count, senvec_embed_stats *stats,
                                              senvec_error *err);

/* Tokenizes one text of any length without cutting it. With `ids` NULL and `capacity` 0 nothing is written, and *count gets the
 * number of ids. Thread safe. Errors: TOO_LARGE (capacity below the number of ids), INVALID_ARGUMENT, OUT_OF_MEMORY. */
SENVEC_API senvec_status senvec_tokenize_whole(const senvec_model *model, senvec_text text, uint32_t *ids, size_t capacity,
                                               size_t *count, senvec_error *err);

/* The text of the token `id`, as the vocabulary has it ("##ing"): *length bytes of UTF-8 without a terminator, which live as
 * long as the model. NULL if no token has this id. Thread safe. */
SENVEC_API const char *senvec_token_text(const senvec_model *model, uint32_t id, size_t *length);

#ifdef __cplusplus
}
#endif
#endif
