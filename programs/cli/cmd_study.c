/* senvec study and its stages: study bench, sweep, validate, batching, services, cost (and report, cmd_report.c); and worker,
 * which the study starts as a process of its own. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/progress.h"
#include "cli/write_report.h"
#include "cli/write_target.h"
#include "common/file.h"
#include "hub/hub.h"
#include "io/closest.h"
#include "results/models.h"
#include "study/native_worker.h"
#include "study/study.h"

static volatile sig_atomic_t interrupted;

/* The first Ctrl-C ends the study after the current block and keeps what was measured; the second one ends the program. */
static void interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* Loading is another kind of work than measuring, and the first round has to be through before the time to go can be told. */
static void show_progress(void *context, double fraction, const char *what) {
    sv_progress *progress = context;
    bool loading = strncmp(what, "loading", 7) == 0;
    static bool loading_before;
    progress->restart = loading_before && !loading;
    loading_before = loading;
    progress->uneven = loading || strstr(what, "round 1/") != NULL;
    sv_progress_update(progress, fraction, "%s", what);
}

/* What `study` does; the other commands are its stages. A report follows. */
enum {
    WHOLE_STUDY = SV_STAGE_BENCH | SV_STAGE_SWEEP | SV_STAGE_LENGTHS | SV_STAGE_VALIDATE | SV_STAGE_BATCHING | SV_STAGE_SERVICES
};

/* What the options of a stage set, besides sv_study_options. */
typedef struct switches {
    const char *command; /* "study", "study bench" */
    bool quick, quiet, no_report, anew;
    size_t seed;
    sv_option_texts services, models;
} switches;

/* Runs the stages under a progress bar and prints the table. */
static int run_stages(sv_study_options *options, unsigned stages, const switches *given) {
    sv_progress progress;
    sv_results results;
    senvec_error err;
    options->cancelled = &interrupted;
    options->progress = show_progress;
    options->progress_context = &progress;
    options->seed = given->seed;
    options->anew = given->anew;
    for (size_t i = 0; i < given->services.count; i++)
        options->services[i] = given->services.items[i];
    options->service_count = given->services.count;
    char model[SV_MAX_PATH];
    if (options->model && sv_hub_resolve(options->model, model, &err) == SENVEC_OK &&
        sv_target_folder(model, options->out, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    sv_cli_on_signal(interrupt);
    sv_progress_begin(&progress, "study", given->quiet);
    senvec_status status = sv_study_run(options, stages, &results, &err);
    sv_progress_end(&progress);
    if (status != SENVEC_OK)
        sv_cli_fail(&err);
    if (status != SENVEC_OK && status != SENVEC_CANCELLED)
        return err.code == SENVEC_INVALID_ARGUMENT ? SV_EXIT_USAGE : SV_EXIT_FAILED;

    bool measured = false, failed = false;
    for (size_t i = 0; i < results.row_count; i++) {
        measured = measured || results.rows[i].state == SV_ROW_MEASURED;
        failed = failed || results.rows[i].state == SV_ROW_FAILED;
    }
    senvec_status printed = sv_results_print(&results, stdout, &err);
    sv_results_release(&results);
    if (printed != SENVEC_OK)
        return sv_cli_fail(&err);
    if (!given->quiet)
        sv_cli_say("the result files are in %s", options->out);
    if (status == SENVEC_CANCELLED)
        sv_cli_say("the study is unfinished; 'senvec %s -o %s' goes on with it", given->command, options->out);
    if (status == SENVEC_OK && !measured)
        sv_cli_say("no configuration could be measured");
    if (status == SENVEC_OK && stages == WHOLE_STUDY && !given->no_report) {
        sv_report_options report = {.directories = &options->out, .count = 1, .out = options->out, .python = options->python};
        if (sv_cli_write_report(&report, given->quiet) != SV_EXIT_DONE)
            return SV_EXIT_FAILED;
    }
    return status == SENVEC_OK && measured && !failed ? SV_EXIT_DONE : SV_EXIT_FAILED;
}

static const char bench_notes[] =
    "The configurations run in interleaved blocks, in an order shuffled by the seed, with the same threads. Every one is a "
    "process of its own. DIR gets benchmark_results.csv, cost_analysis.csv, batch_throughput.csv, text_lengths.csv, "
    "use_cases.csv, instances.csv, validation.csv, validation_texts.csv, load_curves.csv, services.csv, service_curves.csv, "
    "latency_data.json, environment.json, study.json and "
    "the models in other forms. Ctrl-C ends after the current block and keeps what was measured; the same command goes on with "
    "it, after a crash as well. Intervals (95 %) are of what "
    "happened between the rounds, not between machines or days: docs/STUDY.md.\n";
static const char stage_notes[] = "Model, texts, peers, threads and instruction sets are those that the study in DIR was made "
                                  "with; to change one, begin a new "
                                  "study. Ctrl-C ends after the current block and keeps what was measured; the "
                                  "same command goes on with it.\n";

enum { MOST_STAGE_NOTES = 1024 };

static void list_stages(char out[MOST_STAGE_NOTES]) {
    size_t used = (size_t)snprintf(out, MOST_STAGE_NOTES,
                                   "Stages, each a command that goes on from DIR/study.json ('senvec study STAGE --help'):\n");
    for (const sv_study_stage *stage = sv_study_stages; stage->name && used < MOST_STAGE_NOTES; stage++)
        used += (size_t)snprintf(out + used, MOST_STAGE_NOTES - used, "  %-17s %s\n", stage->full, stage->summary);
    if (used < MOST_STAGE_NOTES)
        snprintf(out + used, MOST_STAGE_NOTES - used, "\n");
}

/* A command line that has been read. */
typedef struct invocation {
    const sv_usage *usage;
    int argc;
    char **argv;
    unsigned stages;
    sv_study_options *options; /* the targets of the usage's options ... */
    switches *given;           /* ... and so are these */
} invocation;

/* Runs the stages for a model, into the folder `out`; goes on with an interrupted study there. */
static int run_model(const invocation *in, const char *model, const char *out) {
    char found_model[SV_MAX_PATH];
    senvec_error err;
    sv_study_found found = SV_STUDY_NONE;
    in->options->model = model;
    in->options->out = out;
    if (in->stages & SV_STAGE_BENCH && !in->given->anew && sv_study_look(out, &found, found_model, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    if (found == SV_STUDY_WHOLE && (in->stages != WHOLE_STUDY || strcmp(found_model, model) != 0))
        return sv_cli_usage_error(
            "%s/study.json: there is a study of %s, which would be lost; give another folder by -o, or --anew", out,
            found_model);
    if (found == SV_STUDY_INTERRUPTED) { /* its options hold, and only what was given must be the same: read that again */
        const switches before = *in->given;
        sv_operands operands;
        sv_study_options_go_on(in->options);
        *in->given = (switches){.command = before.command};
        sv_options_parse(in->usage, in->argc, in->argv, &operands);
        in->options->quick = in->given->quick;
        in->options->model = before.models.count ? model : NULL;
        in->options->out = out;
        in->given->no_report = before.no_report;
        if (!in->given->quiet)
            sv_cli_say("going on with the interrupted study in %s", out);
    }
    return run_stages(in->options, in->stages, in->given);
}

/* The folder of a model's study: the end of its name. */
static senvec_status folder_of(const char *out, const char *model, char folder[SV_MAX_PATH], senvec_error *err) {
    char name[SV_MAX_PATH];
    snprintf(name, sizeof name, "%s", model);
    for (size_t length = strlen(name); length > 1 && name[length - 1] == '/'; length--)
        name[length - 1] = '\0';
    const char *slash = strrchr(name, '/'), *end = slash ? slash + 1 : name;
    if (!*end || strcmp(end, ".") == 0 || strcmp(end, "..") == 0)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--model %s: its study needs a folder; give the model's own name",
                       model);
    return sv_path_join(out, end, folder, err);
}

/* A study of each model in a folder of its own, and what they are beside each other. What is whole already is kept if another
 * one isn't: so the same command goes on after an interruption. */
static int run_models(const invocation *in) {
    static char folders[SV_MAX_REPEATS][SV_MAX_PATH];
    const char *directories[SV_MAX_REPEATS], *out = in->options->out;
    const sv_option_texts models = in->given->models;
    const sv_study_options options = *in->options;
    const switches given = *in->given;
    sv_study_found found[SV_MAX_REPEATS];
    char made_with[SV_MAX_PATH];
    size_t whole = 0;
    int code = SV_EXIT_DONE;
    senvec_error err;
    for (size_t i = 0; i < models.count; i++) {
        directories[i] = folders[i];
        if (folder_of(out, models.items[i], folders[i], &err) != SENVEC_OK)
            return sv_cli_usage_error("%s", err.message);
        if (sv_study_look(folders[i], &found[i], made_with, &err) != SENVEC_OK)
            return sv_cli_fail(&err);
        whole += found[i] == SV_STUDY_WHOLE && strcmp(made_with, models.items[i]) == 0;
        for (size_t k = 0; k < i; k++)
            if (strcmp(folders[i], folders[k]) == 0)
                return sv_cli_usage_error("--model: %s and %s would have the same folder, %s", models.items[k], models.items[i],
                                          folders[i]);
    }
    for (size_t i = 0; i < models.count && !interrupted; i++) {
        if (found[i] == SV_STUDY_WHOLE && whole < models.count && !given.anew)
            continue;
        *in->options = options;
        *in->given = given;
        in->given->no_report = true;
        printf("%s%s\n", i ? "\n" : "", models.items[i]);
        const int own = run_model(in, models.items[i], folders[i]);
        code = code > own ? code : own;
        if (own == SV_EXIT_USAGE || sv_study_look(folders[i], &found[i], made_with, &err) != SENVEC_OK ||
            found[i] == SV_STUDY_NONE) /* it has said why */
            return own;
    }
    if (interrupted)
        return sv_cli_say("the same command goes on with all models"), SV_EXIT_FAILED;
    printf("\n");
    if (sv_models_write(directories, models.count, out, stdout, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    sv_report_options report = {.directories = directories, .count = models.count, .out = out, .python = options.python};
    if (!given.no_report && sv_cli_write_report(&report, given.quiet) != SV_EXIT_DONE)
        return SV_EXIT_FAILED;
    return code;
}

/* All stages take the same options. */
static int run_measuring(int argc, char **argv, const char *command, const char *about, unsigned stages) {
    sv_study_options options;
    switches given = {.command = command};
    char synopsis[64];
    snprintf(synopsis, sizeof synopsis, "%s%s [OPTION]...", command, stages == WHOLE_STUDY ? " [STAGE]" : "");
    if (stages & SV_STAGE_BENCH)
        sv_study_options_init(&options);
    else
        sv_study_options_go_on(&options);
    given.seed = options.seed;
    /* --quick and --budget change other options' defaults, so they have to be known before the table is made. */
    bool budget = false;
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        given.quick = given.quick || strcmp(argv[i], "--quick") == 0;
        budget = budget || strcmp(argv[i], "--budget") == 0 || strncmp(argv[i], "--budget=", 9) == 0;
    }
    if (given.quick)
        sv_study_options_quick(&options);
    if (budget)
        sv_study_options_budget(&options);
    bool begins = stages & SV_STAGE_BENCH; /* what decides a study can only be chosen where it begins */
#define WHERE_IT_BEGINS(help_) (begins ? (help_) : NULL)
    const bool takes_services = stages & SV_STAGE_SERVICES;
    const bool takes_labels = stages & SV_STAGE_VALIDATE;
    const sv_option table[] = {
        SV_OPTION_FLAG(0, "quick", &given.quick, "fewer and shorter blocks: two minutes"),
        SV_OPTION_DURATION(
            0, "budget", 1, &options.budget_s, 1, 604800,
            WHERE_IT_BEGINS("what the study may take, e.g. 30m: after four rounds, further ones measure\nthe rows "
                            "that are known least")),
        SV_OPTION_TEXT(0, "peers", "LIST", &options.peers,
                       WHERE_IT_BEGINS("runtimes to compare with: all, none, or some of\ntorch,onnxruntime,openvino")),
        SV_OPTION_TEXT(0, "corpus", "FILE", &options.corpus,
                       WHERE_IT_BEGINS("texts of your own: lines, .jsonl or .csv; else skills")),
        SV_OPTION_TEXT(0, "key", "NAME", &options.key, WHERE_IT_BEGINS("the texts are this member of JSON lines")),
        SV_OPTION_TEXT(0, "column", "NAME|N", &options.column, WHERE_IT_BEGINS("the texts are this column of a CSV file")),
        SV_OPTION_COUNT(0, "texts", "N", &options.texts, 1, SV_MAX_STUDY_TEXTS,
                        WHERE_IT_BEGINS("texts at most; of more a seeded sample is taken")),
        SV_OPTION_COUNT(0, "validation-texts", "N", &options.validation_texts, 1, SV_MAX_STUDY_TEXTS,
                        "texts at most whose vectors are compared"),
        SV_OPTION_REAL(0, "duration", "SECONDS", &options.duration_s, 0.01, 86400, "of throughput for each configuration"),
        SV_OPTION_COUNT(0, "calls", "N", &options.latency_calls, 1, 1000000, "timed calls of each configuration"),
        SV_OPTION_COUNT(0, "rounds", "N", &options.rounds, 1, 1000, "interleaved rounds that all this is spread over"),
        SV_OPTION_TEXT(0, "pairs", "FILE", &options.pairs,
                       takes_labels ? "your labels: CSV of text, text, number (Spearman's correlation)" : NULL),
        SV_OPTION_TEXT(0, "queries", "FILE", &options.queries,
                       takes_labels ? "your labels: queries, documents and judgements, as BEIR or TREC\nhave them (nDCG@10, "
                                      "recall@10, MRR)"
                                    : NULL),
        SV_OPTION_TEXT(0, "documents", "FILE", &options.documents, takes_labels ? "the documents of --queries" : NULL),
        SV_OPTION_TEXT(0, "qrels", "FILE", &options.qrels, takes_labels ? "the judgements of --queries" : NULL),
        SV_OPTION_TEXT(0, "classes", "FILE", &options.classes,
                       takes_labels ? "your labels: CSV of text, class (k-NN and logistic regression)" : NULL),
        SV_OPTION_REAL(0, "tolerance", "LOSS", &options.tolerance, 0, 1,
                       takes_labels ? "loss of a metric that a recommendation may risk" : NULL),
        SV_OPTION_TEXTS(0, "service", "NAME=URL[,DIALECT][,MODEL]", &given.services,
                        takes_services
                            ? "a running service, asked over HTTP beside 'senvec serve'; may be\ngiven several times. "
                              "Dialects: openai, openai-base64, tei, ollama"
                            : NULL),
        SV_OPTION_TEXT(0, "services", "LIST", &options.ready_services,
                       takes_services ? "services that the study starts: none, all that the peers'\npackages allow, or some of "
                                        "torch,onnx,llama"
                                      : NULL),
        SV_OPTION_COUNT(0, "seed", "N", &given.seed, 1, 9007199254740992.0, "of order, sample, bootstrap and arrivals"),
        SV_OPTION_REAL(0, "price", "USD", &options.price_per_hour, 0, 1e6, "of the machine for an hour"),
        SV_OPTION_TEXT('o', "out", "DIR", &options.out, "folder of the results"),
        SV_OPTION_TEXTS('m', "model", "NAME|DIR|FILE", &given.models,
                        WHERE_IT_BEGINS("model: a name that 'senvec pull' knows, a folder, or a file of\n'senvec pack' "
                                        "[" SV_DEFAULT_MODEL "]; 'senvec study' takes several, and\nhas a folder in DIR "
                                        "for each")),
        SV_OPTION_COUNT('t', "threads", "N", &options.threads, 1, SV_MAX_THREADS,
                        WHERE_IT_BEGINS("threads of every configuration; else what CPU quota and\naffinity allow")),
        SV_OPTION_TEXT(0, "cpu", "MASK", &options.cpu,
                       WHERE_IT_BEGINS("instruction sets that senvec may use, e.g. ref, avx2, avx512")),
        SV_OPTION_TEXT(0, "python", "FILE", &options.python,
                       "interpreter of the peers; else $SENVEC_PYTHON, else .venv/bin/python\nbeside the program"),
        SV_OPTION_REAL(0, "timeout", "SECONDS", &options.timeout_s, 1, 86400, "after which a silent worker counts as hung"),
        SV_OPTION_FLAG(0, "no-report", &given.no_report,
                       stages == WHOLE_STUDY ? "result files only; 'senvec study report' makes the report later" : NULL),
        SV_OPTION_FLAG(0, "anew", &given.anew,
                       begins ? "begin a new study in the place of one that is in DIR, also of an\ninterrupted one" : NULL),
        SV_OPTION_FLAG('q', "quiet", &given.quiet, "no progress"),
        SV_OPTIONS_END,
    };
    char list[MOST_STAGE_NOTES] = "", notes[MOST_STAGE_NOTES + sizeof bench_notes];
    if (stages == WHOLE_STUDY)
        list_stages(list);
    snprintf(notes, sizeof notes, "%s%s", list, bench_notes);
    const sv_usage usage = {.synopsis = synopsis, .about = about, .options = table, .notes = begins ? notes : stage_notes};
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    const invocation in = {&usage, argc, argv, stages, &options, &given};
    if (given.models.count < 2)
        return run_model(&in, given.models.count ? given.models.items[0] : options.model, options.out);
    if (stages != WHOLE_STUDY)
        return sv_cli_usage_error("--model: several models can only be given to 'senvec study' as a whole");
    return run_models(&in);
}

static int run_whole(int argc, char **argv) {
    return run_measuring(argc, argv, "study",
                         "Measures this machine: PyTorch, ONNX Runtime, OpenVINO and senvec side by side; speed, accuracy and "
                         "cost. Then it writes the report. --quick takes two minutes on a quiet machine.",
                         WHOLE_STUDY);
}

int sv_cmd_bench(int argc, char **argv) {
    return run_measuring(
        argc, argv, "study bench",
        "The study's measuring stage alone: latency and throughput of every configuration, for texts of several "
        "lengths. It begins a study.",
        SV_STAGE_BENCH | SV_STAGE_LENGTHS);
}

int sv_cmd_sweep(int argc, char **argv) {
    return run_measuring(
        argc, argv, "study sweep",
        "The study's stage of batch sizes alone, for the configurations in DIR/study.json: batches of 1 to 64 texts.",
        SV_STAGE_SWEEP);
}

int sv_cmd_validate(int argc, char **argv) {
    return run_measuring(
        argc, argv, "study validate",
        "The study's accuracy stage alone, for the configurations in DIR/study.json: every vector against PyTorch's.",
        SV_STAGE_VALIDATE);
}

int sv_cmd_batching(int argc, char **argv) {
    return run_measuring(
        argc, argv, "study batching",
        "The study's stage of adaptive batching alone, for DIR/study.json: single texts of many callers under load.",
        SV_STAGE_BATCHING);
}

int sv_cmd_services(int argc, char **argv) {
    return run_measuring(argc, argv, "study services",
                         "The study's stage of services alone, for DIR/study.json: running services and 'senvec serve', asked "
                         "over HTTP in turn.",
                         SV_STAGE_SERVICES);
}

const sv_study_stage sv_study_stages[] = {
    {"bench", "study bench", "latency and throughput; begins a study", sv_cmd_bench, true},
    {"sweep", "study sweep", "batch sizes", sv_cmd_sweep, true},
    {"validate", "study validate", "accuracy", sv_cmd_validate, true},
    {"batching", "study batching", "single texts under load", sv_cmd_batching, true},
    {"services", "study services", "running services, over HTTP", sv_cmd_services, false},
    {"cost", "study cost", "another hourly price", sv_cmd_cost, true},
    {"report", "study report", "the page, a PDF and a notebook", sv_cmd_report, true},
    {NULL, NULL, NULL, NULL, false},
};
enum { STAGES = sizeof sv_study_stages / sizeof *sv_study_stages };

/* The stages by the word after "study"; without one, all of them. */
int sv_cmd_study(int argc, char **argv) {
    const char *names[STAGES] = {NULL};
    if (argc < 2 || argv[1][0] == '-')
        return run_whole(argc, argv);
    for (size_t i = 0; sv_study_stages[i].name; i++) {
        names[i] = sv_study_stages[i].name;
        if (strcmp(argv[1], names[i]) == 0) {
            sv_cli_set_command(sv_study_stages[i].full);
            return sv_study_stages[i].run(argc - 1, argv + 1);
        }
    }
    const char *closest = sv_closest(argv[1], names);
    return sv_cli_usage_error("no stage '%s'; %s%s%s", argv[1], closest ? "did you mean '" : "'senvec study --help' lists them",
                              closest ? closest : "", closest ? "'?" : "");
}

int sv_cmd_cost(int argc, char **argv) {
    sv_study_options options;
    switches given = {.command = "study cost", .quiet = true};
    sv_study_options_go_on(&options);
    const sv_option table[] = {
        SV_OPTION_REAL(0, "price", "USD", &options.price_per_hour, 0, 1e6, "of the machine for an hour"),
        SV_OPTION_REAL(0, "load", "N", &options.load_per_s, 1e-3, 1e9,
                       "single texts a second that machines are counted for; 100 in a new\nstudy"),
        SV_OPTION_REAL(0, "p99", "MS", &options.p99_ms, 1e-3, 1e6, "within which they are to be answered; 50 in a new study"),
        SV_OPTION_TEXT(0, "instances", "FILE", &options.instances,
                       "machines that could be rented, with the columns of DIR/study.json's\npublic ones: docs/STUDY.md"),
        SV_OPTION_TEXT('o', "out", "DIR", &options.out, "folder of the results"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {.synopsis = "study cost [OPTION]...",
                            .about =
                                "The study's cost stage alone: what the measured throughput costs at another price, and what a "
                                "load would cost a month on machines that could be rented (instances.csv).",
                            .options = table};
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    return code == SV_RUN ? run_stages(&options, SV_STAGE_COST, &given) : code;
}

int sv_cmd_worker(int argc, char **argv) {
    const sv_option table[] = {SV_OPTIONS_END};
    const sv_usage usage = {.synopsis = "worker",
                            .about = "Runs the engine for the study: requests on standard input, replies on standard output.",
                            .options = table};
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    return sv_native_worker(stdin, stdout) == 0 ? SV_EXIT_DONE : SV_EXIT_FAILED;
}
