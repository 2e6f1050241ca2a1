/* The options that many commands have, and the functions that open a model by name and texts by file name. */
#ifndef SV_CLI_COMMON_H
#define SV_CLI_COMMON_H

#include "cli/cli.h"
#include "hub/hub.h"
#include "io/corpus.h"
#include "senvec.h"

/* ------------------------------------------------------------------- model */

/* -m, -p, -t, --cpu and -q. */
typedef struct sv_common {
    const char *model; /* NAME, DIR or FILE */
    int precision;     /* a senvec_precision */
    size_t threads;    /* 0: what quota and affinity allow */
    const char *cpu;   /* ISA mask; NULL: everything */
    bool quiet;
    bool tokenizer_only; /* the weights aren't read */
} sv_common;

#define SV_COMMON_DEFAULTS                                                                                                     \
    { .model = SV_DEFAULT_MODEL }

extern const char *const sv_precision_choices[]; /* by senvec_precision: auto, fp32, bf16, int8 */

/* -m. */
#define SV_MODEL_OPTION(target_)                                                                                               \
    SV_OPTION_TEXT('m', "model", "NAME|DIR|FILE", target_,                                                                     \
                   "model: a name that 'senvec pull' knows, a folder, or a file of\n'senvec pack'")

extern const char *const sv_truncation_choices[]; /* by senvec_truncation: auto, right, left */

/* --truncation-side. */
#define SV_TRUNCATION_OPTION(target_)                                                                                          \
    SV_OPTION_CHOICE(0, "truncation-side", target_, sv_truncation_choices,                                                     \
                     "where a text that is too long is cut; right keeps its\nbeginning, left its end; auto: as the model's "   \
                     "tokenizer does")

/* Entries of an option table. */
#define SV_COMMON_OPTIONS(common_) SV_MODEL_OPTION(&(common_)->model), SV_RUN_OPTIONS(common_)

/* Without -m. */
#define SV_RUN_OPTIONS(common_)                                                                                                \
    SV_OPTION_CHOICE('p', "precision", &(common_)->precision, sv_precision_choices,                                            \
                     "arithmetic; auto is the fastest safe one. The first int8 run of a\n"                                     \
                     "model calibrates it for seconds and stores the result beside it,\nelse in the cache"),                   \
        SV_OPTION_COUNT('t', "threads", "N", &(common_)->threads, 1, SV_MAX_THREADS,                                           \
                        "threads; else what CPU quota and affinity allow"),                                                    \
        SV_OPTION_TEXT(0, "cpu", "MASK", &(common_)->cpu, "instruction sets to use, e.g. ref, avx2, avx512"),                  \
        SV_OPTION_FLAG('q', "quiet", &(common_)->quiet, "no progress, no summary, no warnings")

/* A log function that prints warnings and errors. */
void sv_common_log(void *context, senvec_log_level level, const char *line);

/* Finds and opens the model; its warnings go to stderr unless quiet. Errors: as sv_hub_resolve and senvec_model_open. */
senvec_status sv_common_open_model(const sv_common *common, senvec_model **out, senvec_error *err);
/* Refuses an output that is a file of the model that would be opened (target.h). Errors: as sv_hub_resolve; INVALID_ARGUMENT.
 */
senvec_status sv_common_check_output(const sv_common *common, const char *path, senvec_error *err);
/* Opens a session of the model with the threads that were asked for. Errors: as senvec_session_open. */
senvec_status sv_common_open_session(const sv_common *common, const senvec_model *model, senvec_session **out,
                                     senvec_error *err);

/* ------------------------------------------------------------------- texts */

/* The place of the text in a record, and the form of the records. */
typedef struct sv_text_options {
    const char *key;       /* JSON lines */
    const char *column;    /* CSV */
    const char *separator; /* one character, or "tab" */
    int quoting;           /* a sv_quoting */
    bool header;
    bool skip_bad;
    const char *const *keep; /* as in sv_corpus_options; set by the command */
    size_t keep_count;
} sv_text_options;

extern const char *const sv_quoting_choices[]; /* by sv_quoting */

#define SV_TEXT_OPTIONS(text_)                                                                                                 \
    SV_OPTION_TEXT(0, "key", "NAME", &(text_)->key, "the texts are this member of JSON lines; a.b is\nmember b of member a"),  \
        SV_OPTION_TEXT(0, "column", "NAME|N", &(text_)->column,                                                                \
                       "the texts are this column of a CSV file; N, from 1:\na file without a header row"),                    \
        SV_OPTION_FLAG(0, "header", &(text_)->header, "the CSV file has a header row, even with --column N"),                  \
        SV_OPTION_TEXT(0, "separator", "C", &(text_)->separator, "between the fields of CSV: a character, or tab"),            \
        SV_OPTION_CHOICE(0, "quoting", &(text_)->quoting, sv_quoting_choices,                                                  \
                         "whether fields may stand in quotes; auto: yes,\nunless tabs separate them")

/* Converts the options for sv_corpus_open. Errors: INVALID_ARGUMENT (both --key and --column; a separator of several
 * characters). */
senvec_status sv_text_corpus(const sv_text_options *options, sv_corpus_options *out, senvec_error *err);

/* Opens a file of texts, "-" being standard input. --key makes it JSON lines and --column CSV; without them its name decides
 * (corpus.h). Errors: as sv_corpus_open and sv_text_corpus. */
senvec_status sv_text_open(const char *path, const sv_text_options *options, sv_corpus **out, senvec_error *err);

#endif
