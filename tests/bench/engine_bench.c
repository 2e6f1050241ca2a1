/* What the engine reaches from strings, beside what the silicon can do: texts/s, tokens/s and percent of the measured peak for
 * texts of several lengths; one text alone; scaling with threads; several callers of one text at a time. Not a test: `./run
 * bench` runs it.
 *
 * usage: engine_bench MODEL_DIR [THREADS [PRECISION [CPU_MASK]]]
 *
 * The variants are measured in turn, ROUNDS times, and medians are printed, since shared machines drift. The peak, of the
 * precision in use, is measured in the same rounds. Percent of peak counts the linear layers' multiply-accumulates only; with
 * attention's in parentheses. For one text alone, the 99th percentile of all its calls stands behind. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/cpu/machine.h"
#include "common/thread.h"
#include "peak/peak.h"
#include "senvec.h"

#define ROUNDS 5
#define ROUND_NS (SV_NS_PER_S / 5)
#define MAX_TEXTS 512
#define MAX_CALLERS 16
#define MAX_SAMPLES 20000

static const char *const words[] = {"the",     "design", "of",     "a",       "distributed", "system", "needs",   "careful",
                                    "testing", "and",    "people", "who",     "know",        "how",    "to",      "measure",
                                    "latency", "under",  "load",   "without", "guessing",    "what",   "matters", "most"};
#define WORDS (sizeof words / sizeof *words)

typedef struct variant {
    const char *name;
    size_t count;       /* texts a call */
    size_t first, last; /* words of a text, uniformly from first to last */
    size_t threads;     /* 0: all */
    bool callers;       /* each thread calls by itself, one text at a time */
    senvec_text texts[MAX_TEXTS];
    double tokens;          /* a call */
    double square;          /* sum of squared token counts of a call */
    double seconds[ROUNDS]; /* of one call, or of as many texts */
    double *samples;        /* one text: the seconds of each call; else NULL */
    size_t sample_count;
} variant;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

static unsigned next_random(uint64_t *seed) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(*seed >> 33);
}

static void make_texts(variant *v, const senvec_model *model, size_t longest) {
    uint64_t seed = 1;
    uint32_t *ids = malloc(longest * sizeof *ids);
    for (size_t i = 0; i < v->count; i++) {
        size_t length = v->first + next_random(&seed) % (v->last - v->first + 1);
        char *text = malloc(length * 16), *end = text;
        for (size_t w = 0; w < length; w++)
            end = stpcpy(stpcpy(end, words[next_random(&seed) % WORDS]), " ");
        v->texts[i] = (senvec_text){text, (size_t)(end - text)};
        size_t tokens = 0;
        senvec_tokenize(model, v->texts[i], ids, longest, &tokens, NULL, NULL);
        v->tokens += (double)tokens;
        v->square += (double)(tokens * tokens);
    }
    free(ids);
}

static double time_calls(senvec_session *session, variant *v, float *out, size_t dimensions) {
    senvec_embed(session, v->texts, v->count, out, dimensions, NULL, NULL);
    uint64_t begin = sv_clock_ns(), now = begin;
    size_t calls = 0;
    do {
        uint64_t start = now;
        senvec_embed(session, v->texts, v->count, out, dimensions, NULL, NULL);
        calls++;
        now = sv_clock_ns();
        if (v->samples && v->sample_count < MAX_SAMPLES)
            v->samples[v->sample_count++] = (double)(now - start) / 1e9;
    } while (now - begin < ROUND_NS);
    return (double)(now - begin) / 1e9 / (double)calls;
}

/* Several callers, each with a session of one thread. */
typedef struct callers {
    senvec_session *sessions[MAX_CALLERS];
    const variant *v;
    float *out; /* (members, dimensions) */
    size_t dimensions;
    uint64_t end;
    size_t done[MAX_CALLERS]; /* texts */
} callers;

static void call_alone(void *context, size_t member) {
    callers *c = context;
    size_t done = 0;
    for (; sv_clock_ns() < c->end; done++)
        senvec_embed(c->sessions[member], &c->v->texts[(done + 97 * member) % c->v->count], 1, c->out + member * c->dimensions,
                     c->dimensions, NULL, NULL);
    c->done[member] = done;
}

/* The time that v->count texts take. */
static double time_callers(callers *c, sv_team *team, const variant *v) {
    uint64_t begin = sv_clock_ns();
    c->v = v;
    c->end = begin + ROUND_NS;
    sv_team_run(team, call_alone, c);
    size_t texts = 0;
    for (size_t i = 0; i < sv_team_size(team); i++)
        texts += c->done[i];
    return (double)(sv_clock_ns() - begin) / 1e9 * (double)v->count / (double)texts;
}

int main(int argc, char **argv) {
    static variant variants[] = {
        {.name = "9 words", .count = 256, .first = 6, .last = 13},
        {.name = "9 words, batch 32", .count = 32, .first = 6, .last = 13},
        {.name = "126 words", .count = 16, .first = 126, .last = 126},
        {.name = "254 words", .count = 8, .first = 254, .last = 254},
        {.name = "3 to 254 words", .count = 32, .first = 3, .last = 254},
        {.name = "one text, 9 words", .count = 1, .first = 9, .last = 9},
        {.name = "one text, 126 words", .count = 1, .first = 126, .last = 126},
        {.name = "9 words, as many callers", .count = 256, .first = 6, .last = 13, .callers = true},
        {.name = "9 words, 1 thread", .count = 256, .first = 6, .last = 13, .threads = 1},
        {.name = "one text, 9 words, 1 thread", .count = 1, .first = 9, .last = 9, .threads = 1},
    };
    static const sv_peak_kind kinds[] = {SV_PEAK_FP32, SV_PEAK_FP32, SV_PEAK_BF16, SV_PEAK_INT8};
    const size_t count = sizeof variants / sizeof *variants;
    if (argc < 2) {
        fprintf(stderr, "usage: engine_bench MODEL_DIR [THREADS [PRECISION [CPU_MASK]]]\n");
        return 2;
    }
    size_t threads = argc > 2 ? strtoul(argv[2], NULL, 10) : sv_machine_threads();
    senvec_model_options options = {.cpu = argc > 4 ? argv[4] : NULL};
    for (int p = SENVEC_PRECISION_AUTO; argc > 3 && p <= SENVEC_PRECISION_INT8; p++)
        if (!strcmp(argv[3], senvec_precision_name((senvec_precision)p)))
            options.precision = (senvec_precision)p;
    senvec_error err;
    senvec_model *model;
    senvec_session *all, *one;
    callers group = {0};
    sv_team *team;
    sv_isa_flags flags;
    if (sv_isa_choose(options.cpu, &flags, &err) || senvec_model_open(argv[1], &options, &model, &err) ||
        senvec_session_open(model, &(senvec_session_options){.threads = threads}, &all, &err) ||
        senvec_session_open(model, &(senvec_session_options){.threads = 1}, &one, &err) ||
        sv_team_open(threads < MAX_CALLERS ? threads : MAX_CALLERS, NULL, &team, &err)) {
        fprintf(stderr, "engine_bench: %s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < sv_team_size(team); i++)
        if (senvec_session_open(model, &(senvec_session_options){.threads = 1}, &group.sessions[i], &err)) {
            fprintf(stderr, "engine_bench: %s\n", err.message);
            return 1;
        }
    senvec_model_info info;
    senvec_model_describe(model, &info);
    float *out = malloc(MAX_TEXTS * info.dimensions * sizeof *out);
    group.dimensions = info.dimensions;
    group.out = malloc(MAX_CALLERS * info.dimensions * sizeof *out);
    for (size_t i = 0; i < count; i++) {
        make_texts(&variants[i], model, info.max_seq_length);
        if (variants[i].count == 1)
            variants[i].samples = malloc(MAX_SAMPLES * sizeof(double));
    }

    double peaks[2][ROUNDS]; /* GMAC/s of 1 thread, of all */
    for (size_t round = 0; round < ROUNDS; round++) {
        peaks[0][round] = sv_peak_gmacs(kinds[info.precision], flags, 1, 100, NULL);
        peaks[1][round] = sv_peak_gmacs(kinds[info.precision], flags, threads, 100, NULL);
        for (size_t i = 0; i < count; i++) {
            variant *v = &variants[i];
            v->seconds[round] =
                v->callers ? time_callers(&group, team, v) : time_calls(v->threads ? one : all, v, out, info.dimensions);
        }
    }
    double peak_one = median(peaks[0], ROUNDS), peak_all = median(peaks[1], ROUNDS);
    printf("%s, %zu threads, %s peak %.1f GMAC/s (one thread %.1f)\n", info.tier, threads,
           senvec_precision_name(info.precision), peak_all, peak_one);
    printf("%-30s %8s %10s %10s %10s %8s\n", "texts", "tokens", "ms/call", "texts/s", "tokens/s", "% peak");
    for (size_t i = 0; i < count; i++) {
        variant *v = &variants[i];
        double seconds = median(v->seconds, ROUNDS);
        double linear = v->tokens * (double)info.linear_macs;
        double attention = v->square * 2.0 * (double)(info.dimensions * info.layers);
        double peak = (v->threads ? peak_one : peak_all) * 1e9 * seconds;
        printf("%-30s %8.1f %10.3f %10.1f %10.0f %5.1f (%.1f)", v->name, v->tokens / (double)v->count, seconds * 1e3,
               (double)v->count / seconds, v->tokens / seconds, 100 * linear / peak, 100 * (linear + attention) / peak);
        if (v->samples) {
            qsort(v->samples, v->sample_count, sizeof *v->samples, compare);
            printf("   p50 %.3f ms, p99 %.3f", v->samples[v->sample_count / 2] * 1e3,
                   v->samples[v->sample_count * 99 / 100] * 1e3);
        }
        printf("\n");
    }
    return 0;
}
