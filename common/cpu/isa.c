/* Detection and masks of ISA tiers.
 *
 * A tier counts only if the CPU has every instruction of its set and the operating system saves the registers that they use:
 * CPUID alone says nothing about the second, XCR0 (read by XGETBV) does. AMX needs one more step, since Linux grants the tile
 * state to a process on request only (arch_prctl, Documentation/arch/x86/xstate.rst); refused means absent.
 *
 * Bit positions: Intel SDM volume 2, CPUID; volume 1, 13.3 (XCR0). NEON: Linux, arch/arm64/include/uapi/asm/hwcap.h. */
#include "common/cpu/isa.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#define AVX512_SET (SV_ISA_AVX512 | SV_ISA_AVX2)

/* In ladder order: a tier stands after those that it is built on. */
static const struct {
    const char *name;
    sv_isa_flags flag;
    sv_isa_flags with_implied;
} tiers[] = {
    {"avx2", SV_ISA_AVX2, SV_ISA_AVX2},
    {"avxvnni", SV_ISA_AVXVNNI, SV_ISA_AVXVNNI | SV_ISA_AVX2},
    {"avx512", SV_ISA_AVX512, AVX512_SET},
    {"avx512vnni", SV_ISA_AVX512VNNI, SV_ISA_AVX512VNNI | AVX512_SET},
    {"avx512bf16", SV_ISA_AVX512BF16, SV_ISA_AVX512BF16 | AVX512_SET},
    {"amx", SV_ISA_AMX, SV_ISA_AMX | SV_ISA_AVX512VNNI | SV_ISA_AVX512BF16 | AVX512_SET},
    {"neon", SV_ISA_NEON, SV_ISA_NEON},
    {"neondot", SV_ISA_NEONDOT, SV_ISA_NEONDOT | SV_ISA_NEON},
    {"neoni8mm", SV_ISA_NEONI8MM, SV_ISA_NEONI8MM | SV_ISA_NEONDOT | SV_ISA_NEON},
};

#define TIERS (sizeof tiers / sizeof tiers[0])

#if defined(__x86_64__)

static bool has(unsigned word, unsigned bits) {
    return (word & bits) == bits;
}

static bool amx_granted(void) {
#define ARCH_REQ_XCOMP_PERM 0x1023 /* asm/prctl.h of Linux 5.16, newer than the headers that we build with */
#define XFEATURE_XTILEDATA 18
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static sv_isa_flags detect(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    if (!has(c, fma | osxsave | avx | f16c))
        return 0;

    unsigned xcr0, xcr0_high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(xcr0_high) : "c"(0));
    const unsigned ymm_state = 0x6, zmm_state = 0xe6, tile_state = 0x60000;
    if (!has(xcr0, ymm_state))
        return 0;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    const unsigned last_subleaf = a, b7 = b, c7 = c, d7 = d;
    unsigned a71 = 0;
    if (last_subleaf >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
        a71 = a;

    sv_isa_flags flags = 0;
    const unsigned avx2 = 1u << 5, bmi2 = 1u << 8;
    if (!has(b7, avx2 | bmi2))
        return 0;
    flags |= SV_ISA_AVX2;
    if (has(a71, 1u << 4))
        flags |= SV_ISA_AVXVNNI;

    const unsigned f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
    if (!has(xcr0, zmm_state) || !has(b7, f | dq | cd | bw | vl))
        return flags;
    flags |= SV_ISA_AVX512;
    if (has(c7, 1u << 11))
        flags |= SV_ISA_AVX512VNNI;
    const unsigned vbmi = 1u << 1;
    if (has(a71, 1u << 5) && has(c7, vbmi))
        flags |= SV_ISA_AVX512BF16;

    const unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24, amx_int8 = 1u << 25;
    const sv_isa_flags below_amx = SV_ISA_AVX512VNNI | SV_ISA_AVX512BF16;
    if (has(xcr0, tile_state) && has(d7, amx_bf16 | amx_tile | amx_int8) && (flags & below_amx) == below_amx && amx_granted())
        flags |= SV_ISA_AMX;
    return flags;
}

#elif defined(__aarch64__)

static sv_isa_flags detect(void) {
    const unsigned long one = getauxval(AT_HWCAP), two = getauxval(AT_HWCAP2);
    if (!(one & HWCAP_ASIMD))
        return 0;
    if (!(one & HWCAP_ASIMDDP))
        return SV_ISA_NEON;
    if (!(two & HWCAP2_I8MM))
        return SV_ISA_NEON | SV_ISA_NEONDOT;
    return SV_ISA_NEON | SV_ISA_NEONDOT | SV_ISA_NEONI8MM;
}

#else

static sv_isa_flags detect(void) {
    return 0;
}

#endif

sv_isa_flags sv_isa_detect(void) {
    static const sv_isa_flags found = 1u << 31; /* so that "nothing" can be cached too */
    static _Atomic sv_isa_flags cache;          /* two threads that race write the same value */
    sv_isa_flags cached = atomic_load_explicit(&cache, memory_order_relaxed);
    if (!cached) {
        cached = detect() | found;
        atomic_store_explicit(&cache, cached, memory_order_relaxed);
    }
    return cached & ~found;
}

/* Error text for a mask, blaming `where`. */
static senvec_status reject(const char *where, const char *mask, const char *name, size_t length, senvec_error *err) {
    char known[160] = "";
    size_t used = 0;
    for (size_t i = 0; i < TIERS; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s, ", tiers[i].name);
    if (!length)
        return sv_fail(err, SENVEC_INVALID_ARGUMENT, (uint64_t)(name - mask), "%s: an empty name at byte %zu; use %sref, all",
                       where, (size_t)(name - mask), known);
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, (uint64_t)(name - mask),
                   "%s: no instruction set is called \"%.*s\"; use %sref, all", where, (int)(length < 40 ? length : 40), name,
                   known);
}

static bool same(const char *name, size_t length, const char *word) {
    return strlen(word) == length && strncasecmp(name, word, length) == 0;
}

static senvec_status parse(const char *where, const char *mask, sv_isa_flags *out, senvec_error *err) {
    sv_isa_flags all = 0, flags = 0;
    for (size_t i = 0; i < TIERS; i++)
        all |= tiers[i].flag;
    for (const char *name = mask;; name++) {
        const size_t length = strcspn(name, ",");
        bool known = same(name, length, "ref") || same(name, length, "none");
        if (same(name, length, "all") || same(name, length, "native")) {
            flags |= all;
            known = true;
        }
        for (size_t i = 0; i < TIERS; i++)
            if (same(name, length, tiers[i].name)) {
                flags |= tiers[i].with_implied;
                known = true;
            }
        if (!known)
            return reject(where, mask, name, length, err);
        name += length;
        if (!*name)
            break;
    }
    *out = flags;
    return SENVEC_OK;
}

senvec_status sv_isa_parse(const char *mask, sv_isa_flags *out, senvec_error *err) {
    return parse("CPU mask", mask, out, err);
}

senvec_status sv_isa_choose(const char *mask, sv_isa_flags *out, senvec_error *err) {
    const char *where = "--cpu";
    if (!mask) {
        where = "SENVEC_CPU";
        mask = getenv("SENVEC_CPU");
    }
    sv_isa_flags allowed;
    SENVEC_TRY(parse(where, mask && *mask ? mask : "all", &allowed, err));
    *out = sv_isa_detect() & allowed;
    return SENVEC_OK;
}

sv_isa_flags sv_isa_at(size_t index) {
    return index < TIERS ? tiers[index].flag : 0;
}

const char *sv_isa_name(sv_isa_flags flag) {
    for (size_t i = 0; i < TIERS; i++)
        if (tiers[i].flag == flag)
            return tiers[i].name;
    return NULL;
}
