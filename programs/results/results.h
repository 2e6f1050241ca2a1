/* The measurements of a study.
 *
 * sv_results holds measurements only: samples, blocks, vectors' cosines. Percentiles, intervals, ratios and cost follow from
 * them (figures.h), so a stage that runs later (cost at another price, the report) can't disagree with the one that measured.
 * Everything that is written takes the figures, computed once, and the fields of fields.h: study.json (results_json.c, read
 * back by results_read.c), the tables (results_csv.c) and the terminal's summary (results_print.c). */
#ifndef SV_RESULTS_RESULTS_H
#define SV_RESULTS_RESULTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/memory.h"
#include "common/status.h"
#include "results/configurations.h"

#define SV_STUDY_SCHEMA_VERSION 1

/* The states of a row: X(name, text in the files). */
#define SV_ROW_STATE_MAP(X)                                                                                                    \
    X(SV_ROW_PLANNED, "planned") /* not measured (yet): the study was cut short */                                             \
    X(SV_ROW_MEASURED, "measured")                                                                                             \
    X(SV_ROW_MISSING, "missing") /* its runtime isn't installed, or this machine or build can't run it */                      \
    X(SV_ROW_FAILED, "failed")   /* its worker died, hung, or made no sense */

typedef enum sv_row_state {
#define SV_ROW_STATE_ENUM(name, text) name,
    SV_ROW_STATE_MAP(SV_ROW_STATE_ENUM)
#undef SV_ROW_STATE_ENUM
} sv_row_state;

const char *sv_row_state_text(sv_row_state state);

/* The round of a block that was measured beside the rounds, so that it has no pair among other rows' blocks. */
#define SV_ROUND_ALONE ((size_t)1 << 20)

/* Throughput of one configuration in one round. */
typedef struct sv_block {
    size_t round;
    size_t position; /* in the round's order, from 0 */
    uint64_t calls, texts, tokens;
    double seconds;
    double steal;    /* CPU time that the hypervisor took, as a part of the block's wall time x CPUs */
    double idle_cpu; /* CPUs that the other, idle workers used in the meantime; ought to be 0 */
} sv_block;

/* One configuration at one batch size on one set of texts. */
typedef struct sv_measurement {
    double *latency_ms; /* [latency_count], one call each, in order of measurement */
    size_t latency_count, latency_capacity;
    size_t *latency_blocks; /* [latency_block_count]: the calls of each round that had some, in order */
    size_t latency_block_count, latency_block_capacity;
    sv_block *blocks; /* [block_count], one a round, ascending */
    size_t block_count, block_capacity;
    size_t rounds_done; /* a study that goes on begins with the next one */
} sv_measurement;

/* The texts whose vectors are compared. */
typedef enum sv_validation_set { SV_VALIDATION_CORPUS, SV_VALIDATION_WIDE, SV_VALIDATION_SETS } sv_validation_set;
const char *sv_validation_set_name(sv_validation_set set); /* "corpus", "wide" */

/* X(name, text in the files): the forms in which an index may keep a vector. Labels are scored in the first four. */
#define SV_FORM_MAP(X)                                                                                                         \
    X(SV_FORM_FLOAT32, "float32")                                                                                              \
    X(SV_FORM_INT8, "int8")                                                                                                    \
    X(SV_FORM_BINARY, "binary") /* its sign bits; ubinary has the same bits */                                                 \
    X(SV_FORM_HALF, "half")     /* its first half */                                                                           \
    X(SV_FORM_FLOAT16, "float16")                                                                                              \
    X(SV_FORM_QUARTER, "quarter") /* its first quarter */

typedef enum sv_form {
#define SV_FORM_ENUM(name, text) name,
    SV_FORM_MAP(SV_FORM_ENUM)
#undef SV_FORM_ENUM
        SV_FORMS,
    SV_FORMS_LABELLED = SV_FORM_FLOAT16,
} sv_form;

const char *sv_form_text(sv_form form);

/* Vectors of one configuration against the reference's. */
typedef struct sv_validation {
    double *cosines;                                /* [count]: of each text's vector and the reference's */
    size_t count;                                   /* 0 before */
    double pairwise_error_max, pairwise_error_mean; /* of the cosine of two texts */
    double neighbours;                              /* mean part of the reference's 10 nearest that are found again */
    double recall[SV_FORMS]; /* recall@10: mean part of the 10 nearest by the configuration's own float32 vectors that are found
                                again by these vectors in the form; NaN where it isn't known */
} sv_validation;

typedef struct sv_row {
    char name[64];
    char runtime[16];
    char precision[8];
    char step[80];
    char files[32]; /* folder or file of the results that is its model, or "" */
    size_t batch;

    sv_row_state state;
    char reason[600]; /* why it is missing or failed; "" otherwise */

    json_t *worker; /* what the worker said about itself at load (versions, settings, ...); NULL before */
    double load_seconds;
    uint64_t model_bytes;
    uint64_t peak_rss_bytes;
    uint64_t tokens; /* of all texts of the study, as this runtime counts them */

    sv_measurement bench; /* on the corpus */
    sv_validation validation[SV_VALIDATION_SETS];
    double sts_spearman; /* of the cosines of labelled pairs and their labels; NaN before */
} sv_row;

/* X(name, text in the files): why a series was measured, beside the rows' own benchmark. */
#define SV_SERIES_KIND_MAP(X)                                                                                                  \
    X(SV_SERIES_SWEEP, "sweep")   /* the corpus at another batch size */                                                       \
    X(SV_SERIES_LENGTH, "length") /* texts of another length at the row's batch size */

typedef enum sv_series_kind {
#define SV_SERIES_KIND_ENUM(name, text) name,
    SV_SERIES_KIND_MAP(SV_SERIES_KIND_ENUM)
#undef SV_SERIES_KIND_ENUM
} sv_series_kind;

const char *sv_series_kind_text(sv_series_kind kind);

typedef struct sv_series {
    sv_series_kind kind;
    size_t row;   /* index in sv_results.rows */
    char set[16]; /* the texts' name: "corpus", "query", "80 tokens", ... */
    size_t batch;
    double tokens_per_text;
    sv_measurement measured;
} sv_series;

typedef struct sv_results {
    sv_arena arena; /* holds everything below, JSON apart */
    sv_row *rows;
    size_t row_count;

    char created[32]; /* ISO 8601, UTC */
    uint64_t seed;
    size_t threads, rounds, latency_calls, warmups;
    double rewarm_s;   /* of calls that aren't timed, at least, before those of a block that are */
    double duration_s; /* of throughput, for each configuration */
    bool quick;
    double price_per_hour;

    uint64_t linear_macs;                   /* for one token; 0 unknown */
    double peak_fp32, peak_bf16, peak_int8; /* GMAC/s with `threads` threads: the best of the run; 0 unknown */
    double bandwidth;                       /* GB/s */

    sv_series *series; /* [series_count] */
    size_t series_count;

    struct {
        const char **texts; /* [count] */
        size_t count;
    } validation[SV_VALIDATION_SETS];
    char reference[64]; /* the row that vectors were compared with; "" before */
    size_t sts_pairs;   /* labelled pairs; 0: none given */

    json_t *stages;   /* object: "planned" and "done", names of stages; what an interrupted study goes on with (study.h) */
    json_t *labels;   /* object: scores at the reader's own tasks (study/scores.h); NULL: none */
    json_t *batching; /* object: single texts under load (batching.h); NULL before */
    json_t *services; /* object: services over HTTP (study/services.h); NULL: none */
    json_t
        *instances; /* object: "types" that can be rented, "load_per_s", "p99_ms" (instances.h); NULL: from before they were */
    json_t *environment; /* object: the machine, the model, the texts, the software */
    json_t *warnings;    /* array of strings */
} sv_results;

/* An empty result without rows. Error: OUT_OF_MEMORY. */
senvec_status sv_results_init(sv_results *results, senvec_error *err);
/* A zeroed one is accepted. */
void sv_results_release(sv_results *results);

/* Makes `count` planned rows of the configurations. Error: OUT_OF_MEMORY. */
senvec_status sv_results_plan(sv_results *results, const sv_configuration *const *configurations, size_t count,
                              senvec_error *err);
/* The row of that name, or NULL. */
sv_row *sv_results_find(const sv_results *results, const char *name);
/* The first measured row of a batch size (0: any) and a runtime (NULL: any); NULL if there is none. */
const sv_row *sv_results_first_measured(const sv_results *results, size_t batch, const char *runtime);
/* The row that ratios and savings are against: the first measured one of batch 1, else the first measured. NULL if there is
 * none. */
const sv_row *sv_results_baseline(const sv_results *results);

__attribute__((format(printf, 3, 4))) void sv_row_mark(sv_row *row, sv_row_state state, const char *format, ...);
/* Adds a line; the same line twice is kept once. Without memory it is lost. */
__attribute__((format(printf, 2, 3))) void sv_results_warn(sv_results *results, const char *format, ...);

/* The series of that row, kind, texts (NULL: any) and batch (0: any), or NULL. */
const sv_series *sv_results_series(const sv_results *results, const sv_row *row, sv_series_kind kind, const char *set,
                                   size_t batch);
/* Drops the series of a kind and makes room for `count` more; *first is the index of the first. Error: OUT_OF_MEMORY. */
senvec_status sv_results_add_series(sv_results *results, sv_series_kind kind, size_t count, size_t *first, senvec_error *err);
/* Empties a measurement and makes room for `calls` samples and as many blocks of both kinds. Error: OUT_OF_MEMORY. */
senvec_status sv_measurement_clear(sv_results *results, sv_measurement *measured, size_t calls, size_t blocks,
                                   senvec_error *err);

/* Keeps what is in it and makes room for `calls` samples and as many blocks of both kinds in all. Error: OUT_OF_MEMORY. */
senvec_status sv_measurement_reserve(sv_results *results, sv_measurement *measured, size_t calls, size_t blocks,
                                     senvec_error *err);

/* Reads study.json back. Errors: NOT_FOUND (which names the stage to run first), FORMAT, UNSUPPORTED (another schema version),
 * OUT_OF_MEMORY. */
senvec_status sv_results_read(sv_results *results, const char *directory, senvec_error *err);

/* Writes all files of the results into `directory`, each whole or not at all: study.json, latency_data.json, environment.json,
 * and of benchmark_results.csv, cost_analysis.csv, validation.csv, validation_texts.csv, batch_throughput.csv,
 * text_lengths.csv, use_cases.csv, load_curves.csv, services.csv and service_curves.csv those that have something to say.
 * Errors: IO, OUT_OF_MEMORY. */
senvec_status sv_results_write(const sv_results *results, const char *directory, senvec_error *err);

/* study.json alone, without the figures, whose intervals take seconds: what a study that is killed goes on from. Errors: IO,
 * OUT_OF_MEMORY. */
senvec_status sv_results_checkpoint(const sv_results *results, const char *directory, senvec_error *err);

/* The summary for a terminal of 80 columns. Error: OUT_OF_MEMORY. */
senvec_status sv_results_print(const sv_results *results, FILE *stream, senvec_error *err);

#endif
