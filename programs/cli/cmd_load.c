/* senvec load: asks a server as its users would, and says how it did. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "common/file.h"
#include "io/texts.h"
#include "loadgen/find_rate.h"
#include "loadgen/http_target.h"
#include "loadgen/load_files.h"

enum { MAX_RATES = 64 };

static volatile sig_atomic_t interrupted;

/* The first Ctrl-C ends the run and keeps what was measured; the second one ends the program. */
static void interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* What was typed. */
typedef struct choices {
    sv_load_plan plan;
    sv_http_options http;
    const char *url, *rates, *sizes, *lengths, *corpus;
    const char *json, *csv, *requests;
    sv_text_options text;
    size_t texts, samples, seed;
    double bound_ms, tolerance, search_s;
    int dialect;
    bool constant, quiet;
} choices;

/* What is collected over the runs. */
typedef struct collection {
    const choices *given;
    sv_workload workload;
    sv_http_target *target;
    sv_progress progress;
    double rates[MAX_RATES];
    size_t rate_count;
    json_t *runs; /* array */
    FILE *csv, *requests;
    bool all_valid;
    double cpu_s; /* of this process at the beginning of the current run */
} collection;

static double cpu_seconds(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------ output */

static const char *milliseconds(char out[SV_HUMAN], double ms) {
    if (!isfinite(ms))
        snprintf(out, SV_HUMAN, "-");
    else
        snprintf(out, SV_HUMAN, ms < 10 ? "%.2f ms" : ms < 1000 ? "%.1f ms" : "%.0f ms", ms);
    return out;
}
#define MS(value) milliseconds((char[SV_HUMAN]){0}, value)
#define COUNT(value) sv_human_count((char[SV_HUMAN]){0}, value)
#define RATE(value) sv_human_rate((char[SV_HUMAN]){0}, value)

static void print_latency(const char *name, const sv_summary *s) {
    printf("  %-20s p50 %s, p95 %s, p99 %s, p99.9 %s, max %s\n", name, MS(s->p50), MS(s->p95), MS(s->p99), MS(s->p999),
           MS(s->max));
}

static void print_requests(const sv_load_figures *f) {
    printf("  %-20s %s due, %s answered, %s refused", "requests", COUNT(f->requests), COUNT(f->outcomes[SV_LOAD_ANSWERED]),
           COUNT(f->outcomes[SV_LOAD_REFUSED]));
    for (size_t i = SV_LOAD_STATUS; i < SV_LOAD_OUTCOMES; i++) {
        if (f->outcomes[i] == 0)
            continue;
        char name[SV_HUMAN];
        snprintf(name, sizeof name, "%s", sv_load_outcome_text(i));
        for (char *c = name; *c; c++)
            if (*c == '_')
                *c = ' ';
        printf(", %s %s", COUNT(f->outcomes[i]), name);
    }
    for (size_t i = 100; i < sizeof f->statuses / sizeof *f->statuses; i++)
        if (i != 200 && f->statuses[i] > 0)
            printf("; status %zu: %s", i, COUNT(f->statuses[i]));
    putchar('\n');
}

static void print_run(const collection *s, double rate, const sv_load_figures *f, double cpu_s) {
    const sv_load_plan *plan = &s->given->plan;
    if (plan->loop == SV_LOAD_CLOSED_LOOP)
        printf("%zu clients in a closed loop, %.3g s\n", plan->clients, f->seconds);
    else
        printf("%s requests/s, %s, %.3g s\n", RATE(rate), plan->loop == SV_LOAD_POISSON ? "Poisson" : "constant", f->seconds);
    print_requests(f);
    printf("  %-20s %s requests/s, %s texts/s\n", "answered", RATE(f->answered_per_s), RATE(f->texts_per_s));
    print_latency("latency", &f->all.latency_ms);
    size_t kinds = sv_load_kinds(&s->workload);
    for (size_t i = 0; kinds > 1 && i < kinds; i++) {
        size_t texts, words;
        char name[64];
        sv_load_kind(&s->workload, i, &texts, &words);
        int used = snprintf(name, sizeof name, "  %zu text%s", texts, texts == 1 ? "" : "s");
        if (words)
            snprintf(name + used, sizeof name - (size_t)used, ", %zu word%s", words, words == 1 ? "" : "s");
        print_latency(name, &f->kinds[i].latency_ms);
    }
    printf("  %-20s %.0f %% of a CPU", "generator", f->seconds > 0 ? 100 * cpu_s / (plan->warmup_s + f->seconds) : 0);
    if (plan->loop != SV_LOAD_CLOSED_LOOP)
        printf("; sent late by %s at p99, %s at most", MS(f->lag_p99_ms), MS(f->lag_max_ms));
    if (s->given->http.repeat < 0)
        printf("\n  %-20s not used: the server is asked to compute each text (--repeat changes that)", "cache");
    else
        printf("\n  %-20s may be used: %.3g %% of the texts may have been asked before", "cache", 100 * s->given->http.repeat);
    printf("\n  %s", f->valid ? "VALID" : "INVALID");
    for (size_t i = 0; i < f->reason_count; i++)
        printf("%s %s", i ? ";" : ":", f->reasons[i]);
    printf("\n");
}

static void take_step(void *context, double rate, const sv_load_log *log, const sv_load_figures *figures) {
    collection *s = context;
    double now = cpu_seconds();
    sv_progress_clear();
    if (s->given->bound_ms > 0 && !s->given->quiet) {
        printf("%8s requests/s: p99 %s, %s refused, %s: %s\n", RATE(rate), MS(figures->all.latency_ms.p99),
               COUNT(figures->outcomes[SV_LOAD_REFUSED]), figures->valid ? "VALID" : "INVALID",
               sv_load_sustained(figures, s->given->bound_ms) ? "sustained"
               : figures->reason_count                        ? figures->reasons[0]
                                                              : "not sustained");
    } else if (s->given->bound_ms == 0) {
        print_run(s, rate, figures, now - s->cpu_s);
    }
    fflush(stdout);
    s->all_valid = s->all_valid && figures->valid;
    json_t *run = sv_load_figures_json(figures, &s->workload);
    json_object_set_new(run, "rate", rate > 0 ? json_real(rate) : json_null());
    json_object_set_new(run, "generator_cpu_s", json_real(now - s->cpu_s));
    json_array_append_new(s->runs, run);
    if (s->csv)
        sv_load_csv_line(s->csv, rate, figures);
    if (s->requests)
        sv_load_requests_csv(s->requests, log);
    s->cpu_s = cpu_seconds();
}

static json_t *describe(const collection *s, double best) {
    static const char *const loops[] = {"poisson", "constant", "closed"};
    const choices *g = s->given;
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    json_t *root = json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:s, s:s?, s:I, s:I, s:I, s:b, s:O}", "schema_version", 1,
        "created", created, "url", g->url, "dialect", sv_load_dialect_choices[g->dialect], "model", g->http.model, "loop",
        loops[g->plan.loop], "clients", (json_int_t)(g->plan.loop == SV_LOAD_CLOSED_LOOP ? g->plan.clients : 0), "warmup_s",
        g->plan.warmup_s, "duration_s", g->plan.duration_s, "timeout_s", g->plan.timeout_s, "batch", g->sizes, "words",
        g->lengths, "seed", (json_int_t)g->seed, "connections", (json_int_t)g->http.connections, "samples",
        (json_int_t)g->samples, "keep_alive", !g->http.no_keep_alive, "runs", s->runs);
    json_object_set_new(root, "repeat", g->http.repeat < 0 ? json_null() : json_real(g->http.repeat));
    if (g->bound_ms > 0)
        json_object_set_new(
            root, "search",
            json_pack("{s:f, s:f, s:f}", "p99_bound_ms", g->bound_ms, "tolerance", g->tolerance, "best_rate", best));
    return root;
}

/* The file of a result that was asked for; "-" is standard output. */
static senvec_status open_file(const char *path, sv_atomic_file *file, senvec_error *err) {
    return path ? sv_atomic_file_open(file, strcmp(path, "-") == 0 ? "/dev/stdout" : path, err) : SENVEC_OK;
}

static senvec_status commit_file(sv_atomic_file *file, senvec_error *err) {
    return file->stream ? sv_atomic_file_commit(file, err) : SENVEC_OK;
}

/* ------------------------------------------------------------------ the run */

static void show_progress(void *context, double fraction, uint64_t done) {
    collection *s = context;
    sv_progress_update(&s->progress, s->given->bound_ms > 0 ? -1 : fraction, "%s requests", COUNT(done));
}

static senvec_status parse_rates(collection *s, senvec_error *err) {
    const char *text = s->given->rates;
    for (const char *at = text; *at; at += strcspn(at, ","), at += *at == ',') {
        char word[32];
        size_t length = strcspn(at, ",");
        double rate = 0;
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        if (length >= sizeof word || !sv_parse_real(word, &rate) || rate < 0.001 || rate > SV_MAX_LOAD_RATE)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0,
                           "--rate '%s': expected requests a second, 0.001 to %u, commas between", text, SV_MAX_LOAD_RATE);
        if (s->rate_count == MAX_RATES)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--rate '%s': at most %d rates", text, MAX_RATES);
        s->rates[s->rate_count++] = rate;
    }
    return s->rate_count ? SENVEC_OK : sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "--rate: no rate");
}

static senvec_status make_workload(collection *s, senvec_error *err) {
    const choices *g = s->given;
    sv_mix sizes, lengths;
    SENVEC_TRY(sv_mix_parse(g->sizes, SV_MAX_LOAD_TEXTS, "--batch", &sizes, err));
    if (g->lengths)
        SENVEC_TRY(sv_mix_parse(g->lengths, SV_MAX_LOAD_WORDS, "--words", &lengths, err));
    sv_texts texts;
    sv_corpus_options corpus;
    SENVEC_TRY(sv_text_corpus(&g->text, &corpus, err));
    SENVEC_TRY(sv_texts_load(&texts, g->corpus, &corpus, g->texts, g->seed, err));
    senvec_status status =
        sv_workload_make(&s->workload, texts.texts, texts.count, &sizes, g->lengths ? &lengths : NULL, g->seed, err);
    sv_texts_release(&texts);
    return status;
}

static senvec_status run_rates(collection *s, senvec_error *err) {
    sv_load_target driver = sv_http_target_driver(s->target);
    for (size_t i = 0; i < s->rate_count && !interrupted; i++) {
        sv_load_plan plan = s->given->plan;
        sv_load_log log;
        sv_load_figures figures;
        plan.rate = s->rates[i];
        plan.progress = show_progress;
        plan.progress_context = s;
        senvec_status status = sv_load_run(&plan, &s->workload, &driver, &log, err);
        if (status == SENVEC_OK)
            status = sv_load_judge(&log, s->given->samples, &figures, err);
        if (status == SENVEC_OK)
            take_step(s, plan.loop == SV_LOAD_CLOSED_LOOP ? 0 : plan.rate, &log, &figures);
        sv_load_log_release(&log);
        SENVEC_TRY(status);
    }
    return SENVEC_OK;
}

static senvec_status search_rate(collection *s, double *best, senvec_error *err) {
    const choices *g = s->given;
    sv_load_target driver = sv_http_target_driver(s->target);
    sv_load_plan plan = g->plan;
    sv_load_goal goal = {.bound_ms = g->bound_ms,
                         .most_rate = SV_MAX_LOAD_RATE,
                         .tolerance = g->tolerance,
                         .most_seconds = g->search_s,
                         .samples = g->samples,
                         .step = take_step,
                         .step_context = s};
    plan.rate = s->rates[0];
    plan.progress = show_progress;
    plan.progress_context = s;
    SENVEC_TRY(sv_load_find_rate(&plan, &goal, &s->workload, &driver, best, err));
    printf("highest rate with p99 within %s: ", MS(g->bound_ms));
    if (*best > 0)
        printf("%s requests/s\n", RATE(*best));
    else
        printf("none\n");
    return SENVEC_OK;
}

static senvec_status measure(collection *s, double *best, senvec_error *err) {
    const choices *g = s->given;
    sv_atomic_file json = {0}, csv = {0}, requests = {0};
    senvec_status status = open_file(g->json, &json, err);
    if (status == SENVEC_OK)
        status = open_file(g->csv, &csv, err);
    if (status == SENVEC_OK)
        status = open_file(g->requests, &requests, err);
    s->csv = csv.stream;
    s->requests = requests.stream;
    if (s->csv)
        sv_load_csv_header(s->csv);
    if (status == SENVEC_OK) {
        sv_progress_begin(&s->progress, "load", g->quiet);
        s->cpu_s = cpu_seconds();
        status = g->bound_ms > 0 ? search_rate(s, best, err) : run_rates(s, err);
        sv_progress_end(&s->progress);
    }
    if (status == SENVEC_OK && json.stream) {
        json_t *root = describe(s, *best);
        if (!root || json_dumpf(root, json.stream, JSON_INDENT(1) | JSON_REAL_PRECISION(10)) != 0)
            status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed", g->json);
        else
            fputc('\n', json.stream);
        json_decref(root);
    }
    sv_atomic_file *const files[] = {&json, &csv, &requests};
    for (size_t i = 0; i < 3; i++) {
        if (status == SENVEC_OK)
            status = commit_file(files[i], err);
        sv_atomic_file_abort(files[i]);
    }
    return status;
}

static int run_load(choices *g) {
    collection s = {.given = g, .all_valid = true, .runs = json_array()};
    senvec_error err;
    double best = 0;
    g->http.dialect = (sv_load_dialect)g->dialect;
    g->plan.seed = g->seed;
    g->plan.cancelled = &interrupted;
    g->plan.loop = g->plan.clients ? SV_LOAD_CLOSED_LOOP : g->constant ? SV_LOAD_CONSTANT : SV_LOAD_POISSON;
    g->http.connect_timeout_s = g->plan.timeout_s < 5 ? g->plan.timeout_s : 5;
    if (g->http.connections < g->plan.clients)
        g->http.connections = g->plan.clients;
    senvec_status status = sv_url_parse(g->url, &g->http.url, &err);
    if (status == SENVEC_OK)
        status = parse_rates(&s, &err);
    if (status == SENVEC_OK && g->plan.clients)
        s.rate_count = 1;
    if (status == SENVEC_OK)
        status = make_workload(&s, &err);
    if (status == SENVEC_OK)
        status = sv_http_target_open(&g->http, &s.workload, &s.target, &err);
    if (status == SENVEC_OK)
        status = sv_http_target_probe(s.target, g->plan.timeout_s, &err);
    sv_cli_on_signal(interrupt);
    if (status == SENVEC_OK)
        status = measure(&s, &best, &err);
    sv_http_target_close(s.target);
    sv_workload_release(&s.workload);
    json_decref(s.runs);
    if (status != SENVEC_OK)
        return sv_cli_fail(&err);
    return (g->bound_ms > 0 ? best > 0 : s.all_valid) ? SV_EXIT_DONE : SV_EXIT_FAILED;
}

/* The old spelling of --dialect goes on working for a release. */
static void rename_form(int argc, char **argv) {
    static char whole[] = "--dialect";
    for (int i = 1; i + 1 < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--form") == 0) {
            argv[i] = whole;
            sv_cli_say("'--form' is called '--dialect' now");
        }
}

int sv_cmd_load(int argc, char **argv) {
    choices g = {.plan = {.warmup_s = 1, .duration_s = 10, .timeout_s = 30},
                 .http = {.model = SV_DEFAULT_MODEL, .api_key = getenv("SENVEC_API_KEY"), .connections = 1024, .repeat = -1},
                 .rates = "100",
                 .sizes = "1",
                 .texts = 10000,
                 .samples = 1000,
                 .seed = 1,
                 .tolerance = 0.03,
                 .search_s = 600};
    const sv_option options[] = {
        SV_OPTION_TEXT('r', "rate", "N[,N]...", &g.rates,
                       "open loop: requests a second, whatever the server does;\nseveral are run one after the other"),
        SV_OPTION_FLAG(0, "constant", &g.constant, "equal gaps between requests; else Poisson arrivals"),
        SV_OPTION_COUNT('c', "clients", "N", &g.plan.clients, 1, SV_MAX_LOAD_CONNECTIONS,
                        "closed loop: clients that wait for each answer"),
        SV_OPTION_REAL(0, "p99", "MS", &g.bound_ms, 0.01, 1e6,
                       "search for the highest rate with p99 within this, from the\nfirst of --rate on"),
        SV_OPTION_REAL(0, "tolerance", "PART", &g.tolerance, 0.001, 1, "how near the search gets to the first rate that fails"),
        SV_OPTION_DURATION(0, "search-time", 1, &g.search_s, 1, 86400,
                           "of the search: no run begins that would end later, and what\npassed by then is the answer"),
        SV_OPTION_REAL('d', "duration", "SECONDS", &g.plan.duration_s, 0.1, 86400, "measured, of each run"),
        SV_OPTION_REAL(0, "warmup", "SECONDS", &g.plan.warmup_s, 0, 3600, "before that"),
        SV_OPTION_REAL(0, "timeout", "SECONDS", &g.plan.timeout_s, 0.001, 3600, "after which a request has failed"),
        SV_OPTION_CHOICE(0, "dialect", &g.dialect, sv_load_dialect_choices, "API dialect of the requests"),
        SV_OPTION_TEXT('b', "batch", "MIX", &g.sizes, "texts a request: 32, or 1:9,32:1 for one in ten with 32"),
        SV_OPTION_TEXT('w', "words", "MIX", &g.lengths, "words a text, put together from the corpus, e.g. 4:6,60:3,200:1"),
        SV_OPTION_TEXT(0, "corpus", "FILE", &g.corpus, "texts of your own: lines, .jsonl or .csv; else skills"),
        SV_TEXT_OPTIONS(&g.text),
        SV_OPTION_COUNT(0, "texts", "N", &g.texts, 1, SV_MAX_STUDY_TEXTS, "texts at most; of more a seeded sample is taken"),
        SV_OPTION_REAL(0, "repeat", "PART", &g.http.repeat, 0, 1,
                       "this part of the texts may have been asked before, as a\nserver's cache likes it; the others get a "
                       "number of their\n"
                       "own. Else the server is asked to compute each text"),
        SV_OPTION_COUNT(0, "seed", "N", &g.seed, 0, 9007199254740992.0, "of arrivals, texts and sizes"),
        SV_OPTION_COUNT(0, "samples", "N", &g.samples, 1, SV_MAX_LOAD_REQUESTS, "answers without which a run isn't valid"),
        SV_OPTION_COUNT(0, "connections", "N", &g.http.connections, 1, SV_MAX_LOAD_CONNECTIONS, "at most at a time"),
        SV_OPTION_FLAG(0, "no-keep-alive", &g.http.no_keep_alive, "a new connection for each request"),
        SV_OPTION_TEXT('m', "model", "NAME", &g.http.model, "model to ask for"),
        SV_OPTION_TEXT(0, "api-key", "KEY", &g.http.api_key, "sent as a bearer token; else $SENVEC_API_KEY"),
        SV_OPTION_TEXT(0, "json", "FILE", &g.json, "everything that was measured"),
        SV_OPTION_TEXT(0, "csv", "FILE", &g.csv, "one line a run, for plots"),
        SV_OPTION_TEXT(0, "requests", "FILE", &g.requests, "one line a request, as CSV"),
        SV_OPTION_FLAG('q', "quiet", &g.quiet, "no progress"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "load [OPTION]... URL",
        .about =
            "Sends requests to an embedding server over HTTP and reports latency, throughput and failures. The server is\n"
            "senvec, TEI, Ollama, or any with OpenAI's interface. URL is http://HOST[:PORT], with the path if it isn't the\n"
            "usual one of the dialect.",
        .options = options,
        .notes = "Latency is measured from the moment at which a request was due, so a stall of the server shows. A run is\n"
                 "VALID if there were enough answers, hardly any failed, the generator kept its schedule, and latency didn't\n"
                 "grow from the first third of the time to the last; else the output says what was wrong. The exit code is 1 "
                 "if a run\n"
                 "wasn't valid or no rate was found.\n\n"
                 "Examples:\n"
                 "  senvec load http://127.0.0.1:8080 --rate 500\n"
                 "  senvec load http://127.0.0.1:8080 --clients 32 --batch 32\n"
                 "  senvec load http://127.0.0.1:8080 --p99 50 --csv search.csv\n"
                 "  senvec load http://127.0.0.1:8080 --rate 100,200,400 --csv curve.csv",
        .least_operands = 1,
        .most_operands = 1,
    };
    sv_operands operands;
    rename_form(argc, argv);
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    if (g.plan.clients && g.bound_ms > 0)
        return sv_cli_usage_error(
            "'--p99' searches for a rate, which a closed loop ('--clients') doesn't have; give one of them");
    if (g.plan.clients && g.constant)
        return sv_cli_usage_error("'--constant' is for an open loop ('--rate'); leave out '--clients' or '--constant'");
    g.url = operands.items[0];
    return run_load(&g);
}
