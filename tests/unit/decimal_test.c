/* Decimal text of floats: reads back as the same bits, is never longer than it must be, and looks as expected. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/decimal.h"
#include "io/npy.h"

static const char *decimal(float value) {
    static char text[SV_DECIMAL_MAX + 1];
    size_t length = sv_decimal_f32(value, text);
    assert_true(length > 0 && length <= SV_DECIMAL_MAX);
    text[length] = '\0';
    return text;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Digits of the mantissa, without leading and trailing zeros. */
static size_t significant(const char *text) {
    size_t count = 0, zeros = 0;
    for (; *text && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (count == 0 && *text == '0'))
            continue;
        count++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return count - zeros;
}

/* The fewest digits with which printf's text reads back. */
static size_t fewest(float value) {
    char text[40];
    for (int digits = 1; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, (double)value);
        if (strtof(text, NULL) == value)
            return (size_t)digits;
    }
    return 9;
}

static void check(float value) {
    const char *text = decimal(value);
    if (strtof(text, NULL) != value)
        fail_msg("%s reads back as %.9g, not %.9g", text, (double)strtof(text, NULL), (double)value);
    if ((float)strtod(text, NULL) != value)
        fail_msg("%s read as double, then float, isn't %.9g", text, (double)value);
    /* Below 1, where no decimal of 9 digits lies halfway between two floats; above a power of two it may take one more. */
    float magnitude = fabsf(value);
    if (magnitude > 1e-13f && magnitude < 1 && significant(text) > fewest(value) + 1)
        fail_msg("%s has more digits than %.9g needs", text, (double)value);
}

static void test_looks(void **state) {
    (void)state;
    const struct {
        float value;
        const char *text;
    } cases[] = {
        {0, "0"},
        {1, "1"},
        {-1, "-1"},
        {0.1f, "0.1"},
        {-0.05283642f, "-0.05283642"},
        {0.001f, "0.001"},
        {0.0001f, "0.0001"},
        {0.00001f, "1e-05"},
        {-1.5e-7f, "-1.5e-07"},
        {100, "100"},
        {12345.678f, "12345.678"},
        {123456789.0f, "123456790"},
        {1e9f, "1e+09"},
        {3.4028235e38f, "3.40282347e+38"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(decimal(cases[i].value), cases[i].text);
    assert_string_equal(decimal(-0.0f), "-0");
}

/* Around every power of two and of ten, where distances and digits change. */
static void test_edges(void **state) {
    (void)state;
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (int offset = -3; offset <= 3; offset++)
            if (exponent > 0 || offset >= 0)
                check(float_of((exponent << 23) + (uint32_t)offset));
    for (int exponent = -37; exponent <= 38; exponent++) {
        float value = (float)pow(10, exponent);
        check(value);
        check(nextafterf(value, 0));
        check(nextafterf(value, INFINITY));
    }
}

static void test_random(void **state) {
    (void)state;
    uint64_t x = 1;
    for (int i = 0; i < 300000; i++) {
        x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint32_t bits = (uint32_t)(x >> 32);
        if (i % 2) /* half of them in (-1, 1) with 8 exponents, as vectors have */
            bits = (bits & 0x807fffff) | (119 + (bits >> 23) % 8) << 23;
        if (isfinite(float_of(bits)))
            check(float_of(bits));
    }
}

static void test_npy_header(void **state) {
    (void)state;
    const uint64_t rows[] = {0, 1000, UINT64_MAX};
    for (size_t i = 0; i < 3; i++) {
        char header[SV_NPY_HEADER_BYTES], expected[SV_NPY_HEADER_BYTES];
        sv_npy_header("<f4", rows[i], 384, header);
        assert_memory_equal(header, "\x93NUMPY\x01\x00\x76\x00", 10);
        snprintf(expected, sizeof expected, "{'descr': '<f4', 'fortran_order': False, 'shape': (%llu, 384), } ",
                 (unsigned long long)rows[i]);
        assert_memory_equal(header + 10, expected, strlen(expected));
        assert_int_equal(header[SV_NPY_HEADER_BYTES - 1], '\n');
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looks),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_npy_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
