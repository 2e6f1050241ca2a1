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

matrix matrix_open(size_t rows, size_t columns, size_t ld) {
    matrix m = {.rows = rows, .columns = columns, .ld = ld};
    const size_t count = rows && columns ? (rows - 1) * ld + columns : 0;
    m.at = (float *)open_map(&m, count * sizeof *m.at, false);
    return m;
}

matrix matrix_open_aligned(size_t count) {
    matrix m = {.rows = 1, .columns = count, .ld = count};
    m.at = (float *)open_map(&m, count * sizeof *m.at, true);
    return m;
}

matrix matrix_copy(const matrix *from) {
    matrix m = matrix_open(from->rows, from->columns, from->ld);
    for (size_t row = 0; row < m.rows; row++)
        memcpy(m.at + row * m.ld, from->at + row * m.ld, m.columns * sizeof *m.at);
    return m;
}

void matrix_close(matrix *m) {
    munmap(m->map, m->map_bytes);
    *m = (matrix){0};
}

static bool inside(const matrix *m, const float *p) {
    if (p < m->at || !m->rows)
        return false;
    const size_t offset = (size_t)(p - m->at);
    return offset / m->ld < m->rows && offset % m->ld < m->columns;
}

void matrix_check_canaries(const matrix *m, const char *name) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const float *end = (const float *)(m->map + m->map_bytes - page);
    for (const float *p = (const float *)(m->map + page); p < end; p++)
        if (memcmp(p, &canary, sizeof canary) && !inside(m, p)) {
            check_fail("%s: written outside of its shape, %td floats after its start", name, p - m->at);
            return;
        }
}

void matrix_check_same(const matrix *got, const matrix *want, const char *what) {
    for (size_t row = 0; row < got->rows; row++)
        for (size_t column = 0; column < got->columns; column++) {
            const float g = got->at[row * got->ld + column], w = want->at[row * want->ld + column];
            if (memcmp(&g, &w, sizeof g) && !(isnan(g) && isnan(w))) {
                check_fail("%s: (%zu, %zu) is %a, should have the bits of %a", what, row, column, g, w);
                return;
            }
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
