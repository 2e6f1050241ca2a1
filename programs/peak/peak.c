/* The measured peaks.
 *
 * A loop of a kind does nothing but its multiply-accumulate, on registers: more independent chains than latency times width
 * asks for (12 on x86-64, where 8 to 10 do), so that only the execution units limit it. The loops are assembly: a compiler
 * would fold them, and the file must assemble without the flags of any tier. Operands are ordinary numbers that neither grow
 * nor become denormal. Zeros would draw less power, and so might promise a clock that real work can't have.
 *
 * INT8 without VNNI: of the sequences that never saturate on u8 x s8,
 *     vpmaddwd on 16-bit copies, vpaddd                                      4 instructions for 32 products
 *     vpmaddubsw on the even and on the odd bytes, vpmaddwd by ones, vpaddd  6
 *     vpmaddubsw on u >> 1 and on u & 1, vpaddw, vpmaddwd by twos, vpaddd    5
 * the first needs the fewest, and only half of them on the multiplier ports. It is what a kernel would use, with weights and
 * activations kept as 16 bits.
 *
 * Each measurement is cut into short windows which all threads start together; the best window counts, since what is asked is
 * what the silicon can do, and every disturbance makes it slower. */
#include "peak/peak.h"

#include <assert.h>
#include <stdint.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/memory.h"
#include "common/thread.h"

#define WINDOWS 8

/* One measurable loop: `rounds` times `macs` multiply-accumulates. */
typedef struct peak_loop {
    const char *name;
    sv_peak_kind kind;
    sv_isa_flags needs;
    unsigned macs;
    void (*run)(uint64_t rounds);
} peak_loop;

/* ------------------------------------------------------------- the loops */

#if defined(__x86_64__)

/* 12 accumulators R0 to R11, constants in R12 and R13, R14 and R15 free. */
#define TIMES_12(ONE) ONE(0) ONE(1) ONE(2) ONE(3) ONE(4) ONE(5) ONE(6) ONE(7) ONE(8) ONE(9) ONE(10) ONE(11)
#define ALL_XMM                                                                                                                \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",        \
        "xmm14", "xmm15"

/* Sets all registers, then repeats BODY (twice 12 chains) `rounds` times. LOAD broadcasts 32 bits into a register. */
#define LOOP(function, LOAD, BODY, FINISH, factor, addend)                                                                     \
    static void function(uint64_t rounds) {                                                                                    \
        static const uint32_t constants[2] = {factor, addend};                                                                 \
        __asm__ volatile(LOAD(0) LOAD(1) LOAD(2) LOAD(3) LOAD(4) LOAD(5) LOAD(6) LOAD(7) LOAD(8) LOAD(9) LOAD(10) LOAD(11)     \
                             LOAD(13) LOAD_FACTOR_##LOAD ".p2align 5\n1:\n" TIMES_12(BODY)                                     \
                                 TIMES_12(BODY) "dec %0\njnz 1b\n" FINISH                                                      \
                         : "+r"(rounds)                                                                                        \
                         : "r"(constants)                                                                                      \
                         : "cc", "memory", ALL_XMM);                                                                           \
    }

#define LOAD_128(r) "movss 4(%1), %%xmm" #r "\nshufps $0, %%xmm" #r ", %%xmm" #r "\n"
#define LOAD_FACTOR_LOAD_128 "movss (%1), %%xmm12\nshufps $0, %%xmm12, %%xmm12\n"
#define LOAD_256(r) "vbroadcastss 4(%1), %%ymm" #r "\n"
#define LOAD_FACTOR_LOAD_256 "vbroadcastss (%1), %%ymm12\n"
#define LOAD_512(r) "vbroadcastss 4(%1), %%zmm" #r "\n"
#define LOAD_FACTOR_LOAD_512 "vbroadcastss (%1), %%zmm12\n"

/* FP32: acc = acc * 0.5 + 1, which stays between 1 and 2. */
#define HALF 0x3f000000
#define ONE 0x3f800000
#define MUL_ADD_128(r) "mulps %%xmm12, %%xmm" #r "\naddps %%xmm13, %%xmm" #r "\n"
#define FMA_256(r) "vfmadd213ps %%ymm13, %%ymm12, %%ymm" #r "\n"
#define FMA_512(r) "vfmadd213ps %%zmm13, %%zmm12, %%zmm" #r "\n"
LOOP(fp32_128, LOAD_128, MUL_ADD_128, "", HALF, ONE)
LOOP(fp32_256, LOAD_256, FMA_256, "vzeroupper\n", HALF, ONE)
LOOP(fp32_512, LOAD_512, FMA_512, "vzeroupper\n", HALF, ONE)

/* BF16: acc += pairs of (1.0, 0.5) x (1.0, 0.5). */
#define BF16_PAIR 0x3f803f00
#define BF16_512(r) "vdpbf16ps %%zmm12, %%zmm13, %%zmm" #r "\n"
LOOP(bf16_512, LOAD_512, BF16_512, "vzeroupper\n", BF16_PAIR, BF16_PAIR)

/* INT8: bytes that are legal as u8 and as s8. The integers wrap, which costs nothing. */
#define BYTES 0x5b3c2e17
#define MADD_256(r) "vpmaddwd %%ymm12, %%ymm13, %%ymm14\nvpaddd %%ymm14, %%ymm" #r ", %%ymm" #r "\n"
#define VEX_DP_256(r) "%{vex%} vpdpbusd %%ymm12, %%ymm13, %%ymm" #r "\n"
#define DP_512(r) "vpdpbusd %%zmm12, %%zmm13, %%zmm" #r "\n"
LOOP(int8_256, LOAD_256, MADD_256, "vzeroupper\n", BYTES, BYTES)
LOOP(int8_vex_256, LOAD_256, VEX_DP_256, "vzeroupper\n", BYTES, BYTES)
LOOP(int8_512, LOAD_512, DP_512, "vzeroupper\n", BYTES, BYTES)

/* AMX: four chains, as a tile of C of two by two registers has. Rows of the same 32 bits, as above. */
#define TILE_LOOP(function, DOT, constant)                                                                                     \
    static void function(uint64_t rounds) {                                                                                    \
        static const struct {                                                                                                  \
            uint8_t palette, reserved[15];                                                                                     \
            uint16_t bytes[16];                                                                                                \
            uint8_t rows[16];                                                                                                  \
        } config = {1, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};                               \
        static const uint32_t row[16] = {constant, constant, constant, constant, constant, constant, constant, constant,       \
                                         constant, constant, constant, constant, constant, constant, constant, constant};      \
        __asm__ volatile("ldtilecfg %1\ntilezero %%tmm0\ntilezero %%tmm1\ntilezero %%tmm2\ntilezero %%tmm3\n"                  \
                         "tileloadd (%2,%3,1), %%tmm4\ntileloadd (%2,%3,1), %%tmm5\n"                                          \
                         "tileloadd (%2,%3,1), %%tmm6\ntileloadd (%2,%3,1), %%tmm7\n.p2align 5\n1:\n" TIMES_6(                 \
                             DOT) "dec %0\njnz 1b\ntilerelease\n"                                                              \
                         : "+r"(rounds)                                                                                        \
                         : "m"(config), "r"(row), "r"((size_t)0), "m"(row)                                                     \
                         : "cc");                                                                                              \
    }
#define TIMES_6(FOUR) FOUR FOUR FOUR FOUR FOUR FOUR
#define FOUR_DOTS(dot)                                                                                                         \
    dot " %%tmm6, %%tmm4, %%tmm0\n" dot " %%tmm7, %%tmm4, %%tmm1\n" dot " %%tmm6, %%tmm5, %%tmm2\n" dot                        \
        " %%tmm7, %%tmm5, %%tmm3\n"
TILE_LOOP(bf16_tile, FOUR_DOTS("tdpbf16ps"), BF16_PAIR)
TILE_LOOP(int8_tile, FOUR_DOTS("tdpbusd"), BYTES)

#define PER_ROUND 24

/* The last one whose needs are met is the one to run. */
static const peak_loop loops[] = {
    {"fp32 mul add 128", SV_PEAK_FP32, 0, PER_ROUND * 4, fp32_128},
    {"fp32 fma 256", SV_PEAK_FP32, SV_ISA_AVX2, PER_ROUND * 8, fp32_256},
    {"fp32 fma 512", SV_PEAK_FP32, SV_ISA_AVX512, PER_ROUND * 16, fp32_512},
    {"bf16 vdpbf16ps 512", SV_PEAK_BF16, SV_ISA_AVX512BF16, PER_ROUND * 32, bf16_512},
    {"bf16 tdpbf16ps", SV_PEAK_BF16, SV_ISA_AMX, PER_ROUND * 16 * 16 * 32, bf16_tile},
    {"int8 vpmaddwd vpaddd 256", SV_PEAK_INT8, SV_ISA_AVX2, PER_ROUND * 16, int8_256},
    {"int8 vpdpbusd 256", SV_PEAK_INT8, SV_ISA_AVXVNNI, PER_ROUND * 32, int8_vex_256},
    {"int8 vpdpbusd 512", SV_PEAK_INT8, SV_ISA_AVX512VNNI, PER_ROUND * 64, int8_512},
    {"int8 tdpbusd", SV_PEAK_INT8, SV_ISA_AMX, PER_ROUND * 16 * 16 * 64, int8_tile},
};

#elif defined(__aarch64__)

/* 24 accumulators v0 to v23: 4 pipes of latency 4 ask for 16. acc = acc + 0.5 * 0, which stays. */
static void fp32_128(uint64_t rounds) {
#define FMLA(r) "fmla v" #r ".4s, v24.4s, v25.4s\n"
    __asm__ volatile("fmov v24.4s, #0.5\nmovi v25.4s, #0\n1:\n" FMLA(0) FMLA(1) FMLA(2) FMLA(3) FMLA(4) FMLA(5) FMLA(6) FMLA(7)
                         FMLA(8) FMLA(9) FMLA(10) FMLA(11) FMLA(12) FMLA(13) FMLA(14) FMLA(15) FMLA(16) FMLA(17) FMLA(18)
                             FMLA(19) FMLA(20) FMLA(21) FMLA(22) FMLA(23) "subs %0, %0, #1\nb.ne 1b\n"
                     : "+r"(rounds)
                     :
                     : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
                       "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25");
}

static const peak_loop loops[] = {{"fp32 fmla 128", SV_PEAK_FP32, 0, 24 * 4, fp32_128}};

#else
#error "no peak loop for this architecture"
#endif

/* -------------------------------------------------------------- windows */

/* What a team measures: units of work that `run` did, counted until the window's time is over. */
typedef struct windows {
    sv_team *team;
    double (*run)(const void *work, size_t member); /* returns how many units it did; a few microseconds at least */
    const void *work;
    uint64_t window_ns;
    double (*rates)[WINDOWS]; /* (members, WINDOWS) units a nanosecond */
} windows;

static void measure(void *context, size_t member) {
    const windows *w = context;
    w->run(w->work, member); /* warm up: clock, caches, page tables */
    for (size_t i = 0; i < WINDOWS; i++) {
        sv_team_barrier(w->team);
        const uint64_t start = sv_clock_ns();
        double units = 0;
        uint64_t elapsed;
        do {
            units += w->run(w->work, member);
            elapsed = sv_clock_ns() - start;
        } while (elapsed < w->window_ns);
        w->rates[member][i] = units / (double)elapsed;
    }
}

/* The best window's units a nanosecond over all threads; 0 if threads or memory can't be had. */
static double best_rate(double (*run)(const void *, size_t), const void *work, size_t threads, unsigned milliseconds) {
    double rates[SV_MAX_THREADS][WINDOWS];
    windows w = {.run = run, .work = work, .window_ns = (uint64_t)milliseconds * 1000000 / WINDOWS, .rates = rates};
    if (sv_team_open(threads, NULL, &w.team, NULL) != SENVEC_OK)
        return 0;
    sv_team_run(w.team, measure, &w);
    sv_team_close(w.team);
    double best = 0;
    for (size_t i = 0; i < WINDOWS; i++) {
        double sum = 0;
        for (size_t member = 0; member < threads; member++)
            sum += rates[member][i];
        best = sum > best ? sum : best;
    }
    return best;
}

static double run_loop(const void *work, size_t member) {
    (void)member;
    const peak_loop *loop = work;
    const uint64_t rounds = 2000; /* some ten microseconds, with AMX some hundred */
    loop->run(rounds);
    return (double)rounds * loop->macs;
}

double sv_peak_gmacs(sv_peak_kind kind, sv_isa_flags flags, size_t threads, unsigned milliseconds, const char **name) {
    assert(threads >= 1 && threads <= SV_MAX_THREADS);
    const peak_loop *chosen = NULL;
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
        if (loops[i].kind == kind && (loops[i].needs & flags) == loops[i].needs)
            chosen = &loops[i];
    if (name)
        *name = chosen ? chosen->name : "none";
    return chosen ? best_rate(run_loop, chosen, threads, milliseconds) : 0;
}

/* ------------------------------------------------------------- bandwidth */

#define PAGE 4096 /* or less than a page */

typedef struct stream {
    const unsigned char *data; /* (threads, part) */
    size_t part;
} stream;

/* Loads of 16 bytes, two a cycle: enough for any cache behind L1, and every CPU has them. Never with a sanitizer's check of
 * each: that would be what is measured. */
__attribute__((no_sanitize("address", "thread"))) static double run_stream(const void *work, size_t member) {
    typedef uint64_t block __attribute__((vector_size(16)));
    const stream *s = work;
    const block *data = (const block *)(s->data + member * s->part);
    const size_t blocks = s->part / sizeof *data;
    const size_t passes = s->part >> 20 ? 1 : ((size_t)1 << 20) / s->part; /* a megabyte, or looking at the clock would count */
    block a = {0}, b = {0}, c = {0}, d = {0};
    for (size_t pass = 0; pass < passes; pass++)
        for (size_t i = 0; i < blocks; i += 8) {
            a ^= data[i], b ^= data[i + 1], c ^= data[i + 2], d ^= data[i + 3];
            a ^= data[i + 4], b ^= data[i + 5], c ^= data[i + 6], d ^= data[i + 7];
        }
    const block all = a ^ b ^ c ^ d;
    __asm__ volatile("" : : "m"(all));
    return (double)(s->part * passes);
}

double sv_read_bandwidth(size_t bytes, size_t threads, unsigned milliseconds) {
    assert(threads >= 1 && threads <= SV_MAX_THREADS);
    const size_t part = bytes / threads & ~(size_t)127; /* whole steps of the loop */
    void *data;
    if (part == 0 || sv_alloc(&sv_default_allocator, part * threads, 1, "a buffer to stream", &data, NULL) != SENVEC_OK)
        return 0;
    for (size_t i = 0; i < part * threads; i += PAGE)
        ((unsigned char *)data)[i] = 1; /* else every page is the one zero page */
    const stream s = {data, part};
    const double rate = best_rate(run_stream, &s, threads, milliseconds);
    sv_free(&sv_default_allocator, data, part * threads, 1);
    return rate;
}
