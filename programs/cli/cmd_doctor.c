/* senvec doctor: what this machine can do, what that means for a model, and what stands in the way.
 *
 * Everything is measured first into one struct and then shown, as text or as JSON. */
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "cli/human.h"
#include "cli/progress.h"
#include "common/clock.h"
#include "common/cpu/isa.h"
#include "common/cpu/machine.h"
#include "peak/peak.h"

enum { MAX_TIERS = 17, KINDS = 3, LENGTHS = 3, PEAK_MS = 120, RUN_TEXTS = 256 };

static const char *const kind_names[KINDS] = {"fp32", "bf16", "int8"};
static const size_t lengths[LENGTHS] = {11, 128, 256};

/* all-MiniLM-L6-v2, for predictions without the model at hand. */
static const struct { size_t layers, hidden, inner; } mini_lm = {6, 384, 1536};

typedef struct tier {
    const char *name;
    bool usable;                   /* detected and not masked out */
    double one[KINDS], all[KINDS]; /* GMAC/s with one thread and with all; 0: no such instruction */
    const char *loop[KINDS];
} tier;

typedef struct achieved {
    bool ran;
    char why_not[1000];
    double texts_per_second, tokens_per_text, gmacs;
    senvec_model_info info;
} achieved;

typedef struct report {
    sv_machine machine;
    size_t threads;
    tier tiers[MAX_TIERS];
    size_t tier_count;
    double best[KINDS]; /* GMAC/s of all threads, over the usable tiers */
    double cache_gbs, memory_gbs, memory_one_gbs;
    achieved run;
} report;

/* Multiply-accumulates of one text of n tokens: the linear layers, and Q K' and P V of the attention. */
static double text_macs(double layers, double hidden, double inner, double n) {
    return layers * (n * (4 * hidden * hidden + 2 * hidden * inner) + 2 * n * n * hidden);
}

/* ------------------------------------------------------------- measuring */

static void measure_tier(report *r, tier *t, sv_isa_flags flags) {
    for (int kind = 0; kind < KINDS; kind++) {
        t->one[kind] = sv_peak_gmacs((sv_peak_kind)kind, flags, 1, PEAK_MS, &t->loop[kind]);
        t->all[kind] = r->threads > 1 ? sv_peak_gmacs((sv_peak_kind)kind, flags, r->threads, PEAK_MS, NULL) : t->one[kind];
        r->best[kind] = fmax(r->best[kind], t->all[kind]);
    }
}

/* Every tier that this machine has; what the mask excludes is listed, not measured. */
static void measure_tiers(report *r, sv_isa_flags allowed, sv_progress *progress) {
    r->tiers[r->tier_count++] = (tier){.name = "ref", .usable = true};
    sv_isa_flags detected = sv_isa_detect();
    for (size_t i = 0; sv_isa_at(i) && r->tier_count < MAX_TIERS; i++) {
        sv_isa_flags flag = sv_isa_at(i), closure;
        if (!(detected & flag) || sv_isa_parse(sv_isa_name(flag), &closure, NULL) != SENVEC_OK)
            continue;
        tier *t = &r->tiers[r->tier_count++];
        *t = (tier){.name = sv_isa_name(flag), .usable = (allowed & flag) != 0};
        if (t->usable)
            measure_tier(r, t, closure & detected);
        sv_progress_update(progress, -1, "peak of %s", t->name);
    }
    if (r->tier_count == 1)
        measure_tier(r, &r->tiers[0], 0);
}

static void measure_memory(report *r) {
    size_t cache = r->machine.l2_bytes ? r->machine.l2_bytes / 2 : (size_t)256 << 10;
    size_t large = r->machine.l3_bytes * 4 > ((size_t)256 << 20) ? r->machine.l3_bytes * 4 : (size_t)256 << 20;
    if (large > r->machine.memory_bytes / 4 && r->machine.memory_bytes)
        large = r->machine.memory_bytes / 4;
    r->cache_gbs = sv_read_bandwidth(cache * r->threads, r->threads, PEAK_MS);
    r->memory_one_gbs = sv_read_bandwidth(large, 1, 2 * PEAK_MS);
    r->memory_gbs = sv_read_bandwidth(large, r->threads, 2 * PEAK_MS);
}

/* Embeds one short sentence again and again for two seconds. */
static senvec_status run_session(senvec_session *session, achieved *run, senvec_error *err) {
    static float vectors[RUN_TEXTS * 4096];
    static const char sentence[] = "designing and running load tests of web services";
    senvec_text texts[RUN_TEXTS];
    for (size_t i = 0; i < RUN_TEXTS; i++)
        texts[i] = (senvec_text){sentence, sizeof sentence - 1};
    size_t dimensions = run->info.dimensions;
    if (dimensions > sizeof vectors / sizeof vectors[0] / RUN_TEXTS)
        return sv_fail(err, SENVEC_UNSUPPORTED, 0, "vectors of %zu floats are too long for this test", dimensions);
    SENVEC_TRY(senvec_embed(session, texts, RUN_TEXTS, vectors, dimensions, NULL, err)); /* warm up */
    senvec_embed_stats stats = {0};
    uint64_t count = 0, begun = sv_clock_ns(), now;
    do {
        SENVEC_TRY(senvec_embed(session, texts, RUN_TEXTS, vectors, dimensions, &stats, err));
        count += RUN_TEXTS;
        now = sv_clock_ns();
    } while (now - begun < 2 * SV_NS_PER_S);
    run->texts_per_second = (double)count * (double)SV_NS_PER_S / (double)(now - begun);
    run->tokens_per_text = (double)stats.tokens / (double)count;
    run->gmacs =
        run->texts_per_second * 1e-9 *
        text_macs((double)run->info.layers, (double)run->info.dimensions, (double)run->info.inner, run->tokens_per_text);
    run->ran = true;
    return SENVEC_OK;
}

static void measure_model(const sv_common *common, achieved *run) {
    senvec_error err;
    senvec_model *model = NULL;
    senvec_session *session = NULL;
    senvec_status status = sv_common_open_model(common, &model, &err);
    if (status == SENVEC_OK) {
        senvec_model_describe(model, &run->info);
        status = sv_common_open_session(common, model, &session, &err);
    }
    if (status == SENVEC_OK)
        status = run_session(session, run, &err);
    if (status != SENVEC_OK)
        snprintf(run->why_not, sizeof run->why_not, "%s", err.message);
    senvec_session_free(session);
    senvec_model_free(model);
}

/* Of the precision's peak. */
static double percent_of_peak(const report *r) {
    senvec_precision precision = r->run.info.precision;
    int kind = precision == SENVEC_PRECISION_INT8   ? SV_PEAK_INT8
               : precision == SENVEC_PRECISION_BF16 ? SV_PEAK_BF16
                                                    : SV_PEAK_FP32;
    return r->best[kind] > 0 ? 100 * r->run.gmacs / r->best[kind] : 0;
}

static double predicted(const report *r, int kind, size_t tokens) {
    return r->best[kind] * 1e9 /
           text_macs((double)mini_lm.layers, (double)mini_lm.hidden, (double)mini_lm.inner, (double)tokens);
}

/* ---------------------------------------------------------------- advice */

typedef void advise_fn(void *context, const char *line);

__attribute__((format(printf, 3, 4))) static void advise_line(advise_fn *advise, void *context, const char *format, ...) {
    char line[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    advise(context, line);
}

static void give_advice(const report *r, advise_fn *advise, void *context) {
    const sv_machine *m = &r->machine;
    if (m->quota_cpus > 0 && m->quota_cpus < (double)m->affinity_cpus)
        advise_line(advise, context,
                    "the CPU quota (%.4g CPUs) is below the %zu CPUs in the affinity mask: more threads than that "
                    "would be throttled",
                    m->quota_cpus, m->affinity_cpus);
    if (m->affinity_cpus < m->online_cpus)
        advise_line(advise, context, "only %zu of %zu CPUs may be used (affinity or cpuset)", m->affinity_cpus, m->online_cpus);
    if (m->physical_cores && m->usable_threads > m->physical_cores)
        advise_line(advise, context, "%zu threads share %zu cores; -t %zu may be as fast", m->usable_threads, m->physical_cores,
                    m->physical_cores);
    if (m->governor[0] && strcmp(m->governor, "performance") != 0)
        advise_line(advise, context, "the CPU frequency governor is '%s'; 'performance' gives steadier timings", m->governor);
    if (r->tier_count == 1)
        advise_line(advise, context,
                    "no vector instructions that senvec has kernels for: the portable ones are many times slower");
    for (size_t i = 0; i < r->tier_count; i++)
        if (!r->tiers[i].usable)
            advise_line(advise, context, "%s is there but masked out (--cpu or SENVEC_CPU)", r->tiers[i].name);
    if (m->hypervisor[0])
        advise_line(advise, context, "a virtual machine (%s): neighbours can move every figure above", m->hypervisor);
    if (!r->run.ran)
        advise_line(advise, context, "the model was not run: %s", r->run.why_not);
}

/* ------------------------------------------------------------------ text */

static void title(const char *text) {
    bool colour = sv_human_colour(stdout);
    printf("\n%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

static void print_machine(const report *r) {
    const sv_machine *m = &r->machine;
    char a[SV_HUMAN], quota[SV_HUMAN + 16] = "no quota";
    if (m->quota_cpus > 0)
        snprintf(quota, sizeof quota, "quota %.4g", m->quota_cpus);
    title("Machine");
    printf("  CPU           %s\n", m->cpu_model[0] ? m->cpu_model : "unknown");
    printf("  CPUs          %zu online, %zu cores, %zu in the affinity mask, %s\n", m->online_cpus, m->physical_cores,
           m->affinity_cpus, quota);
    printf("  threads       %zu\n", r->threads);
    /* Caches come in powers of two, unlike files and memory, which people count in powers of ten. */
    printf("  caches        L1d %zu KiB, L2 %zu KiB, L3 %zu MiB\n", m->l1d_bytes >> 10, m->l2_bytes >> 10, m->l3_bytes >> 20);
    printf("  memory        %s\n", sv_human_bytes(a, m->memory_bytes));
    printf("  kernel        %s\n", m->kernel);
    printf("  governor      %s\n", m->governor[0] ? m->governor : "unknown");
    printf("  hypervisor    %s\n", m->hypervisor[0] ? m->hypervisor : "none seen");
}

static void print_peaks(const report *r) {
    title("Measured peak, GMAC/s");
    printf("  %-12s %10s %10s %10s    with %zu: %10s %10s %10s\n", "tier", "fp32", "bf16", "int8", r->threads, "fp32", "bf16",
           "int8");
    for (size_t i = 0; i < r->tier_count; i++) {
        const tier *t = &r->tiers[i];
        if (i == 0 && r->tier_count > 1) /* the portable kernels are measured only where there are no others */
            continue;
        printf("  %-12s", t->name);
        if (!t->usable)
            printf(" %10s", "masked out");
        for (int kind = 0; t->usable && kind < 2 * KINDS; kind++) {
            double value = kind < KINDS ? t->one[kind] : t->all[kind - KINDS];
            printf("%s ", kind == KINDS ? "            " : "");
            if (value > 0)
                printf("%10.1f", value);
            else
                printf("%10s", "-");
        }
        putchar('\n');
    }
    title("Read bandwidth, GB/s");
    printf("  cache         %.1f\n", r->cache_gbs);
    printf("  memory        %.1f (one thread %.1f)\n", r->memory_gbs, r->memory_one_gbs);
}

static void print_model(const report *r) {
    title("At most, all-MiniLM-L6-v2, texts/s");
    printf("  %-12s", "tokens");
    for (int kind = 0; kind < KINDS; kind++)
        if (r->best[kind] > 0)
            printf(" %12s", kind_names[kind]);
    putchar('\n');
    for (size_t i = 0; i < LENGTHS; i++) {
        printf("  %-12zu", lengths[i]);
        for (int kind = 0; kind < KINDS; kind++)
            if (r->best[kind] > 0)
                printf(" %12s", sv_human_rate((char[SV_HUMAN]){0}, predicted(r, (sv_peak_kind)kind, lengths[i])));
        putchar('\n');
    }
    if (!r->run.ran)
        return;
    title("Achieved in two seconds");
    printf("  %s texts/s of %.0f tokens, %s, %s: %.1f GMAC/s, %.1f %% of peak\n",
           sv_human_rate((char[SV_HUMAN]){0}, r->run.texts_per_second), r->run.tokens_per_text,
           senvec_precision_name(r->run.info.precision), r->run.info.tier, r->run.gmacs, percent_of_peak(r));
}

static void print_advice(void *context, const char *line) {
    bool *any = context;
    if (!*any)
        title("Worth knowing");
    *any = true;
    printf("  - %s\n", line);
}

/* ------------------------------------------------------------------ JSON */

static void add_advice(void *context, const char *line) {
    json_array_append_new(context, json_string(line));
}

static json_t *peaks_json(const double values[KINDS]) {
    json_t *object = json_object();
    for (int kind = 0; kind < KINDS; kind++)
        json_object_set_new(object, kind_names[kind], json_real(values[kind]));
    return object;
}

static void print_json(const report *r) {
    const sv_machine *m = &r->machine;
    json_t *tiers = json_array(), *most = json_array(), *advice = json_array();
    for (size_t i = 0; i < r->tier_count; i++)
        json_array_append_new(tiers, json_pack("{s:s, s:b, s:o, s:o}", "name", r->tiers[i].name, "usable", r->tiers[i].usable,
                                               "one_thread_gmacs", peaks_json(r->tiers[i].one), "all_threads_gmacs",
                                               peaks_json(r->tiers[i].all)));
    for (size_t i = 0; i < LENGTHS; i++)
        json_array_append_new(most, json_pack("{s:I, s:f, s:f}", "tokens", (json_int_t)lengths[i], "fp32",
                                              predicted(r, SV_PEAK_FP32, lengths[i]), "int8",
                                              predicted(r, SV_PEAK_INT8, lengths[i])));
    give_advice(r, add_advice, advice);
    json_t *object = json_object();
    json_object_set_new(object, "machine",
                        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:I, s:I}", "cpu", m->cpu_model, "kernel",
                                  m->kernel, "hypervisor", m->hypervisor, "governor", m->governor, "online_cpus",
                                  (json_int_t)m->online_cpus, "physical_cores", (json_int_t)m->physical_cores, "affinity_cpus",
                                  (json_int_t)m->affinity_cpus, "quota_cpus", m->quota_cpus, "l1d_bytes",
                                  (json_int_t)m->l1d_bytes, "l2_bytes", (json_int_t)m->l2_bytes, "l3_bytes",
                                  (json_int_t)m->l3_bytes, "memory_bytes", (json_int_t)m->memory_bytes));
    json_object_set_new(object, "threads", json_integer((json_int_t)r->threads));
    json_object_set_new(object, "tiers", tiers);
    json_object_set_new(
        object, "read_bandwidth_gbs",
        json_pack("{s:f, s:f, s:f}", "cache", r->cache_gbs, "memory", r->memory_gbs, "memory_one_thread", r->memory_one_gbs));
    json_object_set_new(object, "most_texts_per_second", most);
    if (r->run.ran)
        json_object_set_new(object, "achieved",
                            json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "precision",
                                      senvec_precision_name(r->run.info.precision), "tier", r->run.info.tier,
                                      "texts_per_second", r->run.texts_per_second, "tokens_per_text", r->run.tokens_per_text,
                                      "gmacs", r->run.gmacs, "percent_of_peak", percent_of_peak(r)));
    json_object_set_new(object, "advice", advice);
    json_dumpf(object, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(object);
}

int sv_cmd_doctor(int argc, char **argv) {
    sv_common common = SV_COMMON_DEFAULTS;
    bool json = false;
    const sv_option options[] = {
        SV_OPTION_FLAG(0, "json", &json, "as one JSON object"),
        SV_COMMON_OPTIONS(&common),
        SV_OPTIONS_END,
    };
    const sv_usage usage = {
        .synopsis = "doctor [OPTION]...",
        .about = "Measures the limits of this machine and prints how fast a model could run on it and, if the model is there,\n"
                 "how fast it does run. This takes a few seconds; other work on the machine lowers the figures.",
        .options = options,
    };
    sv_operands operands;
    int code = sv_options_parse(&usage, argc, argv, &operands);
    if (code != SV_RUN)
        return code;
    static report r;
    senvec_error err;
    sv_isa_flags allowed;
    if (sv_isa_choose(common.cpu, &allowed, &err) != SENVEC_OK)
        return sv_cli_fail(&err);
    sv_progress progress;
    sv_progress_begin(&progress, "measuring", common.quiet);
    sv_machine_describe(&r.machine);
    r.threads = common.threads ? common.threads : r.machine.usable_threads;
    measure_tiers(&r, allowed, &progress);
    sv_progress_update(&progress, -1, "memory");
    measure_memory(&r);
    sv_progress_update(&progress, -1, "the model");
    measure_model(&common, &r.run);
    sv_progress_end(&progress);
    if (json) {
        print_json(&r);
        return SV_EXIT_DONE;
    }
    bool any = false;
    print_machine(&r);
    print_peaks(&r);
    print_model(&r);
    give_advice(&r, print_advice, &any);
    return SV_EXIT_DONE;
}
