/* Guarded matrices, random input, comparisons. */
#include "check.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CANARY 0x7fc0beefu

/* ---------------------------------------------------------------- memory */

static const uint32_t canary = CANARY;

/* `bytes` that end at a forbidden page, or up to 63 bytes before it if they must begin on a cache line. */
static unsigned char *open_map(matrix *m, size_t bytes, bool aligned) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t inside = (bytes + 2 * page - 1) / page * page; /* room for at least a line of canaries in front */
    m->map_bytes = inside + 2 * page;
    m->map = mmap(NULL, m->map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (m->map == MAP_FAILED || mprotect(m->map, page, PROT_NONE) || mprotect(m->map + page + inside, page, PROT_NONE)) {
        perror("kernels_check: guarded memory");
        exit(1);
    }
    for (size_t i = 0; i < inside; i += sizeof canary)
        memcpy(m->map + page + i, &canary, sizeof canary);
    unsigned char *start = m->map + page + inside - bytes;
    return aligned ? (unsigned char *)((uintptr_t)start & ~(uintptr_t)63) : start;
}

matrix matrix_open_typed(size_t element, size_t rows, size_t columns, size_t ld, bool aligned) {
    matrix m = {.element = element, .rows = rows, .columns = columns, .ld = ld};
    const size_t count = rows && columns ? (rows - 1) * ld + columns : 0;
    m.u8 = open_map(&m, count * element, aligned);
    return m;
}

matrix matrix_open(size_t rows, size_t columns, size_t ld) {
    return matrix_open_typed(sizeof(float), rows, columns, ld, false);
}

matrix matrix_open_aligned(size_t count) {
    return matrix_open_typed(sizeof(float), 1, count, count, true);
}

matrix matrix_copy(const matrix *from) {
    matrix m = matrix_open_typed(from->element, from->rows, from->columns, from->ld, false);
    for (size_t row = 0; row < m.rows; row++)
        memcpy(m.u8 + row * m.ld * m.element, from->u8 + row * m.ld * m.element, m.columns * m.element);
    return m;
}

void matrix_close(matrix *m) {
    munmap(m->map, m->map_bytes);
    *m = (matrix){0};
}

static bool inside(const matrix *m, const unsigned char *p) {
    if (p < m->u8 || !m->rows)
        return false;
    const size_t offset = (size_t)(p - m->u8) / m->element;
    return offset / m->ld < m->rows && offset % m->ld < m->columns;
}

void matrix_check_canaries(const matrix *m, const char *name) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char expected[sizeof canary];
    memcpy(expected, &canary, sizeof canary);
    const unsigned char *start = m->map + page, *end = m->map + m->map_bytes - page;
    for (const unsigned char *p = start; p < end; p++)
        if (*p != expected[(size_t)(p - start) % sizeof canary] && !inside(m, p)) {
            check_fail("%s: written outside of its shape, %td bytes after its start", name, p - m->u8);
            return;
        }
}

static bool same_floats(const unsigned char *got, const unsigned char *want) {
    float g, w;
    memcpy(&g, got, sizeof g);
    memcpy(&w, want, sizeof w);
    return isnan(g) && isnan(w);
}

void matrix_check_same(const matrix *got, const matrix *want, const char *what) {
    for (size_t row = 0; row < got->rows; row++)
        for (size_t column = 0; column < got->columns; column++) {
            const unsigned char *g = got->u8 + (row * got->ld + column) * got->element;
            const unsigned char *w = want->u8 + (row * want->ld + column) * want->element;
            if (!memcmp(g, w, got->element) || (got->element == sizeof(float) && same_floats(g, w)))
                continue;
            uint32_t bits[2] = {0}; /* the elements, little-endian */
            memcpy(&bits[0], g, got->element);
            memcpy(&bits[1], w, got->element);
            check_fail("%s: (%zu, %zu) has the bits %x, should have %x", what, row, column, bits[0], bits[1]);
            return;
        }
}

/* ----------------------------------------------------------------- input */

const char *const pattern_names[PATTERNS] = {"random", "large", "denormal", "mixed"};

size_t random_below(size_t limit) {
    return (size_t)(random_bits() >> 11) % limit;
}

float random_float(pattern p) {
    const double unit = (double)(int64_t)random_bits() * 0x1p-63;
    switch (p) {
    case LARGE:
        return (float)copysign(1e18 * (1 - fabs(unit) / 8), unit);
    case DENORMAL:
        return (float)(unit * 0x1p-126);
    case MIXED:
        return (float)ldexp(unit, (int)random_below(41) - 20);
    default:
        return (float)unit;
    }
}

void matrix_fill(matrix *m, pattern p) {
    for (size_t row = 0; row < m->rows; row++)
        for (size_t column = 0; column < m->columns; column++)
            m->at[row * m->ld + column] = random_float(p);
}

/* ---------------------------------------------------------------- oracle */

double gelu_oracle(double x) {
    return 0.5 * x * erfc(-x * M_SQRT1_2);
}

double gelu_bound(double x) {
    return 4 * U * fabs(x) + 0x1p-149;
}

/* x rounded to 8 bits, ties to even, by arithmetic: adding and subtracting 2^16 |x| would do; nearbyint is plainer. A denormal
 * is a zero. */
double bf16_oracle(float x) {
    if (!isfinite(x) || x == 0)
        return x;
    if (fabsf(x) < 0x1p-126f)
        return copysign(0.0, x);
    int exponent;
    const double fraction = frexp(x, &exponent), rounded = ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
    return fabs(rounded) < 0x1p128 ? rounded : copysign(INFINITY, x);
}

float bf16_as_float(uint16_t x) {
    const uint32_t bits = (uint32_t)x << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
