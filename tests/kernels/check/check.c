/* kernels_check: every kernel of every ISA tier against the ref tier and against oracles in double precision.
 *
 *     kernels_check [--seed N] [--tier NAME] [--test NAME] [--bench]
 *     kernels_check --tiers
 *
 * The tiers are walked as a user's mask would: with no flag first, then one flag more each round, and a tier that has been seen
 * isn't tested again. A tier that this CPU or $SENVEC_CPU lacks is reported as SKIP, never as passed; the last line names those
 * that ran. With --bench each kernel is also timed, after its test has passed. --tiers lists those that can run. */
#include "check.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const check_test tests[] = {
    {"gemm_f32", SV_PEAK_FP32, test_gemm, bench_gemm},
    {"gemm_int8", SV_PEAK_INT8, test_int8, bench_int8},
    {"quantize_gelu", SV_PEAK_INT8, test_quantize_gelu, NULL},
    {"quantize", SV_PEAK_INT8, test_quantize, bench_quantize},
    {"gemm_bf16", SV_PEAK_BF16, test_bf16, bench_bf16},
    {"attention_f32", SV_PEAK_FP32, test_attention_f32, bench_attention_f32},
    {"attention_bf16", SV_PEAK_BF16, test_attention_bf16, bench_attention_bf16},
    {"attention_int8", SV_PEAK_INT8, test_attention_int8, bench_attention_int8},
    {"layernorm_f32", SV_PEAK_FP32, test_layernorm, bench_layernorm},
    {"gelu_f32", SV_PEAK_FP32, test_gelu, bench_gelu},
};

static struct {
    char what[256]; /* in the making */
    size_t cases, failures, shown;
    double worst; /* largest error over its bound */
    char worst_what[256];
    uint64_t random;
} state;

/* --------------------------------------------------------------- reports */

void check_begin(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(state.what, sizeof state.what, format, arguments);
    va_end(arguments);
    state.cases++;
}

void check_fail(const char *format, ...) {
    state.failures++;
    if (state.shown++ >= 20)
        return;
    va_list arguments;
    va_start(arguments, format);
    printf("FAIL %s: ", state.what);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

void check_close(float got, double want, double bound, const char *what, size_t row, size_t column) {
    if (isnan(want) || isinf(want)) {
        if (isnan(want) ? !isnan(got) : got != (float)want)
            check_fail("%s: (%zu, %zu) is %g, should be %g", what, row, column, got, want);
        return;
    }
    const double error = fabs((double)got - want);
    if (!(error <= bound))
        check_fail("%s: (%zu, %zu) is %.9g, should be %.9g within %.2g", what, row, column, got, want, bound);
    else if (bound > 0 && error / bound > state.worst) {
        state.worst = error / bound;
        memcpy(state.worst_what, state.what, sizeof state.what);
    }
}

uint64_t random_bits(void) {
    uint64_t z = state.random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

const sv_kernels *check_ref(void) {
    static sv_kernels ref;
    if (!ref.tier)
        ref = sv_kernels_choose(0);
    return &ref;
}

/* Names the crash; what else a broken kernel may have done is unknown, so this ends the program. */
static void crash(int signal) {
    const char *name = signal == SIGSEGV  ? "SIGSEGV (touched memory outside of its arguments)"
                       : signal == SIGILL ? "SIGILL (an instruction this CPU lacks)"
                       : signal == SIGBUS ? "SIGBUS"
                                          : "SIGFPE";
    char line[400];
    const int length = snprintf(line, sizeof line, "FAIL %s: %s\n", state.what, name);
    if (write(STDOUT_FILENO, line, (size_t)length) < 0)
        _exit(2);
    _exit(1);
}

/* ------------------------------------------------------------------ main */

typedef struct options {
    uint64_t seed;
    const char *tier, *test;
    bool bench, list;
} options;

static void run_table(const sv_kernels *kernels, sv_isa_flags flags, const options *o) {
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (o->test && strcmp(o->test, tests[i].name))
            continue;
        state.random = o->seed;
        state.cases = 0;
        state.worst = 0;
        const size_t failures = state.failures;
        tests[i].run(kernels);
        if (!state.cases) {
            printf("-    %-7s %-14s this tier has none\n", kernels->tier, tests[i].name);
            continue;
        }
        const bool passed = state.failures == failures;
        printf("%s %-7s %-14s %6zu cases", passed ? "ok  " : "FAIL", kernels->tier, tests[i].name, state.cases);
        if (state.worst > 0)
            printf(", largest error %.2f of its bound", state.worst);
        printf("\n");
        fflush(stdout);
        if (o->bench && passed && tests[i].bench) {
            const char *loop;
            const double peak = sv_peak_gmacs(tests[i].kind, flags, 1, 200, &loop);
            printf("  peak of one thread %.2f GMAC/s (%s)\n", peak, loop);
            tests[i].bench(kernels, peak);
        }
    }
}

/* The list "a, b" gets one more name. */
static void append(char *list, size_t size, const char *name) {
    const size_t used = strlen(list);
    snprintf(list + used, size - used, "%s%s", used ? ", " : "", name);
}

#if defined(CHECK_EMULATED)
/* The program that tests what is compiled against an emulation of its instructions, as two tiers. */
extern const sv_kernels sv_kernels_avx512_emulated;
extern const sv_gemm sv_gemm_int8_avx512vnni_emulated;
extern const sv_gemm sv_gemm_bf16_avx512bf16_emulated;
extern const sv_gemm sv_gemm_int8_amx_emulated;
extern const sv_gemm sv_gemm_bf16_amx_emulated;
extern const sv_attention sv_attention_bf16_amx_emulated;
extern const sv_attention sv_attention_bf16_avx512bf16_emulated;
extern const sv_attention sv_attention_int8_avx512vnni_emulated;

static void run_all(const options *o, char *ran, char *skipped, size_t size) {
    (void)skipped;
    sv_kernels kernels = sv_kernels_avx512_emulated;
    kernels.int8.gemm = sv_gemm_int8_avx512vnni_emulated;
    kernels.bf16.gemm = sv_gemm_bf16_avx512bf16_emulated;
    kernels.bf16.attention = sv_attention_bf16_avx512bf16_emulated;
    kernels.int8.attention = sv_attention_int8_avx512vnni_emulated;
    run_table(&kernels, 0, o);
    append(ran, size, kernels.tier);
    kernels.tier = "amx";
    kernels.int8.gemm = sv_gemm_int8_amx_emulated;
    kernels.bf16.gemm = sv_gemm_bf16_amx_emulated;
    kernels.bf16.attention = sv_attention_bf16_amx_emulated;
    run_table(&kernels, 0, o);
    append(ran, size, kernels.tier);
}
#else
static bool wanted(const char *tier, const options *o) {
    return !o->tier || !strcmp(o->tier, tier);
}

static void run_all(const options *o, char *ran, char *skipped, size_t size) {
    sv_isa_flags available = 0;
    senvec_error err;
    if (sv_isa_choose(NULL, &available, &err) != SENVEC_OK) {
        check_begin("$SENVEC_CPU");
        check_fail("%s", err.message);
        return;
    }
    test_ladder();
    const char *seen = "";
    sv_isa_flags flags = 0;
    for (size_t i = 0;; i++) {
        const char *tier = sv_kernels_choose(flags).tier;
        if (strcmp(tier, seen)) {
            seen = tier;
            sv_kernels kernels;
            if (!wanted(tier, o)) {
                /* not asked for */
            } else if (check_rung(flags, available, &kernels)) {
                if (o->list)
                    printf("%s\n", tier);
                else
                    run_table(&kernels, flags & available, o);
                append(ran, size, tier);
            } else if (!o->list) {
                printf("SKIP %-7s this CPU or operating system lacks it, or the mask does\n", tier);
                append(skipped, size, tier);
            }
        }
        if (!sv_isa_at(i))
            return;
        flags |= sv_isa_at(i);
    }
}
#endif

int main(int argc, char **argv) {
    options o = {.seed = (uint64_t)time(NULL)};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--bench"))
            o.bench = true;
        else if (!strcmp(argv[i], "--tiers"))
            o.list = true;
        else if (!strcmp(argv[i], "--seed") && i + 1 < argc)
            o.seed = strtoull(argv[++i], NULL, 0);
        else if (!strcmp(argv[i], "--tier") && i + 1 < argc)
            o.tier = argv[++i];
        else if (!strcmp(argv[i], "--test") && i + 1 < argc)
            o.test = argv[++i];
        else {
            fprintf(stderr, "usage: kernels_check [--seed N] [--tier NAME] [--test NAME] [--bench] [--tiers]\n");
            return 2;
        }
    }
    const int signals[] = {SIGSEGV, SIGILL, SIGBUS, SIGFPE};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaction(signals[i], &(struct sigaction){.sa_handler = crash}, NULL);

    if (!o.list)
        printf("seed %llu\n", (unsigned long long)o.seed);
    char ran[200] = "", skipped[200] = "";
    run_all(&o, ran, skipped, sizeof ran);
    if (o.list)
        return *ran ? 0 : 1;
    printf("ran: %s; skipped: %s; failures: %zu\n", *ran ? ran : "nothing", *skipped ? skipped : "none", state.failures);
    return state.failures || !*ran ? 1 : 0;
}
