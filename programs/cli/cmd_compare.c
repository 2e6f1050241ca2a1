/* senvec compare: whether a new server gives the vectors of an old one, and how fast each is. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "common/file.h"
#include "io/texts.h"
#include "loadgen/load_files.h"
#include "loadgen/service_address.h"
#include "loadgen/service_comparison.h"

enum { SHOWN_BYTES = 60, CONNECT_S = 5 };

/* What was typed. */
typedef struct choices {
    const char *addresses[2], *keys[2];
    const char *model, *corpus, *json;
    sv_text_options text;
    sv_comparison_plan plan;
    size_t texts, seed;
    bool quiet;
} choices;

typedef struct comparison {
    const choices *given;
    sv_service_address addresses[2];
    sv_workload workload;
    sv_http_target *targets[2];
    sv_progress progress;
    sv_service_comparison found;
    char verdict[200];
} comparison;

#define COUNT(value) sv_human_count((char[SV_HUMAN]){0}, value)

/* ------------------------------------------------------------------ output */

static bool is_same(const comparison *c) {
    return c->found.texts > 0 && c->found.below == 0;
}

static void judge(comparison *c) {
    const sv_service_comparison *f = &c->found;
    const double bound = c->given->plan.least_cosine;
    if (f->texts == 0)
        snprintf(c->verdict, sizeof c->verdict, "DIFFERENT: OLD's vectors have %zu numbers, NEW's %zu: of another model",
                 f->services[0].dimensions, f->services[1].dimensions);
    else if (f->below == 0)
        snprintf(c->verdict, sizeof c->verdict, "SAME: the vectors of all %s texts have a cosine of at least %.6g",
                 COUNT(f->texts), bound);
    else
        snprintf(c->verdict, sizeof c->verdict, "DIFFERENT: %s of %s texts are below a cosine of %.6g, the least %.6f",
                 COUNT(f->below), COUNT(f->texts), bound, f->cosine_min);
}

static void print_lengths(const sv_service_comparison *f) {
    printf("%-16s", "vector length");
    for (size_t i = 0; i < 2; i++) {
        char text[64];
        snprintf(text, sizeof text, f->services[i].length_max - f->services[i].length_min < 5e-4 ? "%.3f" : "%.3f to %.3f",
                 f->services[i].length_min, f->services[i].length_max);
        printf("%22s", text);
    }
    putchar('\n');
}

static void print_latency(const char *name, double old_ms, double new_ms) {
    const double figures[] = {old_ms, new_ms};
    printf("%-16s", name);
    for (size_t i = 0; i < 2; i++)
        if (isfinite(figures[i]))
            printf("%19.2f ms", figures[i]);
        else
            printf("%22s", "-");
    putchar('\n');
}

/* The beginning of a text as a JSON string: controls are escaped, also those above ASCII, and no character is cut. */
static void print_text(const senvec_text *text) {
    json_t *string = json_stringn(text->data, text->length);
    char *escaped = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    size_t length = escaped ? strlen(escaped) : 0;
    const bool cut = length > SHOWN_BYTES;
    if (cut)
        for (length = SHOWN_BYTES - 3; length > 0 && ((unsigned char)escaped[length] & 0xc0) == 0x80; length--)
            ;
    for (size_t i = 0; i + 1 < length; i++)
        if ((unsigned char)escaped[i] == 0xc2 && (unsigned char)escaped[i + 1] < 0xa0)
            escaped[i] = escaped[i + 1] = '?';
    printf("%.*s%s\n", (int)length, escaped ? escaped : "", cut ? "..." : "");
    free(escaped);
    json_decref(string);
}

static void print_comparison(const comparison *c) {
    static const char *const names[] = {"OLD", "NEW"};
    const sv_service_comparison *f = &c->found;
    const sv_summary *old = &f->services[0].latency_ms, *new = &f->services[1].latency_ms;
    for (size_t i = 0; i < 2; i++) {
        char url[SV_SERVICE_URL];
        sv_service_address_url(&c->addresses[i].url, c->addresses[i].dialect, url);
        printf("%s  %s (%s)\n", names[i], url, sv_load_dialect_choices[c->addresses[i].dialect]);
    }
    printf("\n%-16s%22s%22s\n", "", names[0], names[1]);
    printf("%-16s%22zu%22zu\n", "dimensions", f->services[0].dimensions, f->services[1].dimensions);
    if (f->texts > 0)
        print_lengths(f);
    print_latency("latency, p50", old->p50, new->p50);
    print_latency("p95", old->p95, new->p95);
    print_latency("p99", old->p99, new->p99);
    printf("of %s request%s with %zu text%s each, one at a time, to OLD and NEW in turn\n", COUNT(old->count),
           old->count == 1 ? "" : "s", c->given->plan.batch, c->given->plan.batch == 1 ? "" : "s");
    if (f->texts > 0) {
        printf("\ncosine of OLD and NEW, %s texts: mean %.6f, least %.6f\n", COUNT(f->texts), f->cosine_mean, f->cosine_min);
        printf("  quantiles: 1 %% %.6f, 5 %% %.6f, median %.6f\n", f->cosine_p1, f->cosine_p5, f->cosine_p50);
        printf("lowest cosines\n");
        for (size_t i = 0; i < f->worst_count; i++) {
            printf("  %9.6f  ", f->worst_cosines[i]);
            print_text(&c->workload.sets[0].texts[f->worst[i]]);
        }
    }
    if (f->lengths_apart > 0)
        printf("\n%s texts have vectors of different lengths; mostly that is because only one\n"
               "server normalises. Search by cosine doesn't notice; by dot product it does.\n",
               COUNT(f->lengths_apart));
    printf("\n%s\n", c->verdict);
}

static json_t *service_json(const comparison *c, size_t i) {
    const sv_compared_service *service = &c->found.services[i];
    const bool has = c->found.texts > 0;
    char url[SV_SERVICE_URL];
    sv_service_address_url(&c->addresses[i].url, c->addresses[i].dialect, url);
    return json_pack(
        "{s:s, s:s, s:s, s:I, s:o, s:o, s:o}", "url", url, "dialect", sv_load_dialect_choices[c->addresses[i].dialect], "model",
        c->addresses[i].model[0] ? c->addresses[i].model : c->given->model, "dimensions", (json_int_t)service->dimensions,
        "length_min", sv_load_number_json(has ? service->length_min : NAN), "length_max",
        sv_load_number_json(has ? service->length_max : NAN), "latency_ms", sv_load_summary_json(&service->latency_ms));
}

static json_t *comparison_json(const comparison *c) {
    const sv_service_comparison *f = &c->found;
    const choices *g = c->given;
    json_t *worst = json_array();
    for (size_t i = 0; i < f->worst_count; i++) {
        const senvec_text *text = &c->workload.sets[0].texts[f->worst[i]];
        json_array_append_new(worst, json_pack("{s:f, s:s%}", "cosine", f->worst_cosines[i], "text", text->data, text->length));
    }
    return json_pack("{s:i, s:b, s:s, s:o, s:o, s:s?, s:I, s:I, s:I, s:f, s:{s:o, s:o, s:o, s:o, s:o}, s:I, s:I, s:o}",
                     "schema_version", 1, "same", is_same(c), "verdict", c->verdict, "old", service_json(c, 0), "new",
                     service_json(c, 1), "corpus", g->corpus, "texts", (json_int_t)f->texts, "batch", (json_int_t)g->plan.batch,
                     "seed", (json_int_t)g->seed, "cosine_bound", g->plan.least_cosine, "cosine", "mean",
                     sv_load_number_json(f->cosine_mean), "min", sv_load_number_json(f->cosine_min), "p1",
                     sv_load_number_json(f->cosine_p1), "p5", sv_load_number_json(f->cosine_p5), "p50",
                     sv_load_number_json(f->cosine_p50), "below", (json_int_t)f->below, "lengths_apart",
                     (json_int_t)f->lengths_apart, "worst", worst);
}

static senvec_status write_json(const comparison *c, sv_atomic_file *file, senvec_error *err) {
    json_t *root = comparison_json(c);
    senvec_status status = SENVEC_OK;
    if (!root || json_dumpf(root, file->stream, JSON_INDENT(1) | JSON_REAL_PRECISION(10)) != 0)
        status = sv_fail(err, SENVEC_IO, 0, "%s: writing failed", c->given->json);
    else
        fputc('\n', file->stream);
    json_decref(root);
    return status == SENVEC_OK ? sv_atomic_file_commit(file, err) : status;
}

/* ------------------------------------------------------------------ the run */

static void show_progress(void *context, double fraction, size_t texts) {
    comparison *c = context;
    sv_progress_update(&c->progress, fraction, "%s texts", COUNT(texts));
}

static senvec_status make_workload(comparison *c, senvec_error *err) {
    const choices *g = c->given;
    const sv_mix sizes = {.count = 1, .values = {g->plan.batch}, .weights = {1}};
    sv_texts texts;
    sv_corpus_options corpus;
    SENVEC_TRY(sv_text_corpus(&g->text, &corpus, err));
    SENVEC_TRY(sv_texts_load(&texts, g->corpus, &corpus, g->texts, g->seed, err));
    senvec_status status = sv_workload_make(&c->workload, texts.texts, texts.count, &sizes, NULL, g->seed, err);
    sv_texts_release(&texts);
    return status;
}

static senvec_status open_targets(comparison *c, senvec_error *err) {
    const choices *g = c->given;
    for (size_t i = 0; i < 2; i++)
        SENVEC_TRY(sv_service_address_parse(g->addresses[i], &c->addresses[i], err));
    SENVEC_TRY(make_workload(c, err));
    for (size_t i = 0; i < 2; i++) {
        const sv_service_address *address = &c->addresses[i];
        const sv_http_options http = {.url = address->url,
                                      .dialect = address->dialect,
                                      .model = address->model[0] ? address->model : g->model,
                                      .api_key = g->keys[i],
                                      .connections = 1,
                                      .repeat = -1,
                                      .connect_timeout_s = fmin(g->plan.timeout_s, CONNECT_S)};
        SENVEC_TRY(sv_http_target_open(&http, &c->workload, &c->targets[i], err));
    }
    return SENVEC_OK;
}

static senvec_status compare(comparison *c, senvec_error *err) {
    sv_comparison_plan plan = c->given->plan;
    plan.progress = show_progress;
    plan.progress_context = c;
    SENVEC_TRY(open_targets(c, err));
    sv_progress_begin(&c->progress, "compare", c->given->quiet);
    senvec_status status = sv_compare_services(c->targets, &c->workload, &plan, &c->found, err);
    sv_progress_end(&c->progress);
    return status;
}

static int run_compare(const choices *g) {
    comparison c = {.given = g};
    senvec_error err;
    sv_atomic_file json = {0};
    const bool to_output = g->json && strcmp(g->json, "-") == 0;
    senvec_status status = SENVEC_OK;
    if (g->json)
        status = sv_atomic_file_open(&json, to_output ? "/dev/stdout" : g->json, &err);
    if (status == SENVEC_OK)
        status = compare(&c, &err);
    if (status == SENVEC_OK) {
        judge(&c);
        if (!to_output)
            print_comparison(&c);
        if (json.stream)
            status = write_json(&c, &json, &err);
    }
    sv_atomic_file_abort(&json);
    for (size_t i = 0; i < 2; i++)
        sv_http_target_close(c.targets[i]);
    sv_workload_release(&c.workload);
    return status != SENVEC_OK ? sv_cli_fail(&err) : is_same(&c) ? SV_EXIT_DONE : SV_EXIT_FAILED;
}

int sv_cmd_compare(int argc, char **argv) {
    choices g = {
        .model = SV_DEFAULT_MODEL, .plan = {.batch = 1, .timeout_s = 30, .least_cosine = 0.998}, .texts = 1000, .seed = 1};
    const char *const variables[] = {"SENVEC_OLD_API_KEY", "SENVEC_API_KEY"};
    for (size_t i = 0; i < 2; i++)
        g.keys[i] = getenv(variables[i]);
    const sv_option options[] = {
        SV_OPTION_TEXT(0, "corpus", "FILE", &g.corpus, "texts of your own: lines, .jsonl or .csv; else skills"),
        SV_TEXT_OPTIONS(&g.text),
        SV_OPTION_COUNT(0, "texts", "N", &g.texts, 1, SV_MAX_STUDY_TEXTS, "texts at most; of more a seeded sample is taken"),
        SV_OPTION_COUNT(0, "seed", "N", &g.seed, 0, 9007199254740992.0, "of that sample"),
        SV_OPTION_COUNT('b', "batch", "N", &g.plan.batch, 1, SV_MAX_LOAD_TEXTS, "texts of a request"),
        SV_OPTION_REAL(0, "cosine", "C", &g.plan.least_cosine, 0, 1, "the verdict is 'same' if every text has this cosine"),
        SV_OPTION_TEXT('m', "model", "NAME", &g.model, "model to ask both for, where the address doesn't name one"),
        SV_OPTION_TEXT(0, "old-api-key", "KEY", &g.keys[0], "sent to OLD as a bearer token; else\n$SENVEC_OLD_API_KEY"),
        SV_OPTION_TEXT(0, "new-api-key", "KEY", &g.keys[1], "the same for NEW; else $SENVEC_API_KEY"),
        SV_OPTION_REAL(0, "timeout", "SECONDS", &g.plan.timeout_s, 0.001, 3600, "after which a request has failed"),
        SV_OPTION_TEXT(0, "json", "FILE", &g.json, "everything that was found"),
        SV_OPTION_FLAG('q', "quiet", &g.quiet, "no progress"),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "compare [OPTION]... OLD NEW",
        .about = "Sends the same texts to two embedding servers and reports whether their vectors agree and how fast each\n"
                 "server is: evidence before NEW replaces OLD. OLD and NEW are URL[,DIALECT][,MODEL]. URL is\n"
                 "http://HOST[:PORT], with the path if it isn't the usual one of the dialect. DIALECT is openai (the\n"
                 "default), openai-base64, tei or ollama. MODEL is the name to send.",
        .options = options,
        .notes = "Requests go to OLD and NEW in turn, one at a time, so latency is that of a single client. Cache-Control: "
                 "no-cache\n"
                 "asks them to compute each text. The exit code is 0 if the two vectors of every text have at least the\n"
                 "cosine of --cosine, else 1; it is also 1 if a server is down or answers something else, and a line on\n"
                 "stderr says so. docs/MIGRATION.md says what to do about differences.\n\n"
                 "Examples:\n"
                 "  senvec compare http://old:8000,tei http://localhost:8080 --corpus texts.txt\n"
                 "  senvec compare http://old:11434,ollama,all-minilm http://localhost:8080 \\\n"
                 "    --batch 32 --json compare.json",
        .least_operands = 2,
        .most_operands = 2,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    for (size_t i = 0; i < 2; i++)
        g.addresses[i] = operands.items[i];
    return run_compare(&g);
}
