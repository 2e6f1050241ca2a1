/* The study: its stages, their options, and the folder of results.
 *
 * BENCH begins a study, or goes on with an interrupted one; the other stages go on from DIR/study.json, with the options that
 * it was made with, but for those that are given anew. Those that decide what is compared (model, texts, runtimes, threads,
 * instruction sets) must stay the same; of an interrupted study all options must.
 *
 * Every stage leaves DIR/study.json and the tables up to date, so a later one can go on from the files of an earlier one.
 * study.json is also written every few seconds, with the stages that were planned and those that are done, so that an
 * interruption, or a crash, loses no more than that; what is in it is not measured again. */
#ifndef SV_STUDY_STUDY_H
#define SV_STUDY_STUDY_H

#include "common/limits.h"
#include "io/texts.h"
#include "results/results.h"
#include "study/runner.h"

typedef enum sv_stage {
    SV_STAGE_BENCH = 1u << 0,    /* latency and throughput on the corpus */
    SV_STAGE_SWEEP = 1u << 1,    /* throughput by batch size */
    SV_STAGE_LENGTHS = 1u << 2,  /* queries and longer texts */
    SV_STAGE_VALIDATE = 1u << 3, /* vectors against the reference's */
    SV_STAGE_COST = 1u << 4,     /* nothing is measured; the price is given anew */
    SV_STAGE_BATCHING = 1u << 5, /* single texts under load */
    SV_STAGE_SERVICES = 1u << 6, /* services over HTTP */
} sv_stage;

/* NULL or 0 (price: negative) where it isn't given. */
typedef struct sv_study_options {
    const char *model;  /* NAME or DIR */
    const char *out;    /* folder of the results; made if it isn't there */
    const char *peers;  /* configurations.h */
    const char *python; /* NULL: $SENVEC_PYTHON, else .venv/bin/python beside the checkout */
    const char *corpus; /* a file of texts; NULL: the built-in ones */
    const char *key;    /* of JSON lines; NULL */
    const char *column; /* of CSV; NULL */
    const char *pairs;  /* the reader's own labels (scores.h): files, NULL where there are none */
    const char *queries, *documents, *qrels;
    const char *classes;
    const char *ready_services;            /* service_list.h: "all", "none", ... */
    const char *services[SV_MAX_SERVICES]; /* [service_count], the same: NAME=URL[,DIALECT][,MODEL] */
    size_t service_count;
    double tolerance;        /* the loss of a metric that nobody minds; negative: not given */
    const char *cpu;         /* ISA mask; NULL: everything */
    size_t threads;          /* 0: what quota and affinity allow */
    size_t texts;            /* at most; of a longer corpus a sample */
    size_t validation_texts; /* at most */
    size_t rounds;
    size_t latency_calls; /* timed calls of each configuration */
    double duration_s;    /* of throughput, for each configuration, over all rounds */
    double budget_s;      /* of the whole study, which rounds of what is known least fill; 0: none */
    double timeout_s;     /* a worker that is silent for longer has hung */
    double price_per_hour;
    const char *instances; /* a file of instance types (results/instances.h); NULL: the public ones */
    double load_per_s;     /* single texts a second that machines are counted for; 0: not given */
    double p99_ms;         /* within which they are to be answered; 0: not given */
    uint64_t seed;
    bool quick; /* of the text lengths, only single texts of up to 80 tokens; fewer rates under load; recorded */
    bool anew;  /* a study in the folder is replaced, also an interrupted one */
    const volatile sig_atomic_t *cancelled;
    sv_runner_progress_fn *progress;
    void *progress_context;
    /* For the stages, set by sv_study_run. */
    bool go_on; /* what an interrupted study measured is kept */
    senvec_status (*checkpoint)(void *context, senvec_error *err);
    void *checkpoint_context;
    struct sv_budget *budget; /* budget.h */
} sv_study_options;

/* The defaults for a study that begins: those of the measuring rules. */
void sv_study_options_init(sv_study_options *options);
/* Nothing given, for stages that go on from a study. */
void sv_study_options_go_on(sv_study_options *options);
/* Shorter blocks and fewer calls: two minutes instead of several. */
void sv_study_options_quick(sv_study_options *options);

/* The least that a study with a budget measures before it spends the rest; after sv_study_options_quick, nothing less. */
void sv_study_options_budget(sv_study_options *options);

/* What is in a folder of results. */
typedef enum sv_study_found {
    SV_STUDY_NONE,
    SV_STUDY_INTERRUPTED, /* sv_study_run with SV_STAGE_BENCH goes on with it */
    SV_STUDY_WHOLE,       /* sv_study_run with SV_STAGE_BENCH replaces it */
} sv_study_found;
/* `model` (may be NULL) gets the name that the study was made with, "" where there is none. Errors: those of sv_results_read,
 * but NOT_FOUND. */
senvec_status sv_study_look(const char *out, sv_study_found *found, char model[SV_MAX_PATH], senvec_error *err);

/* Runs the stages (a set of sv_stage) in their order and writes the files. *results belongs to the caller (sv_results_release)
 * if the status is OK or CANCELLED, and holds what was measured. Errors: INVALID_ARGUMENT (peers, threads, ISA
 * mask; or what is given isn't what the study was made with), NOT_FOUND
 * (the model, the corpus, an earlier stage's file), IO (the results folder), those of the corpus, CANCELLED (after the files
 * were written), OUT_OF_MEMORY. A configuration that fails is no error: its row says so. */
senvec_status sv_study_run(const sv_study_options *options, unsigned stages, sv_results *results, senvec_error *err);

#endif
