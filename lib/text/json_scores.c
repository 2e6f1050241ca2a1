/* The scores of a Unigram model, bit for bit as the reference has them.
 *
 * `tokenizers` reads JSON with serde_json, which doesn't round decimal numbers correctly: it takes the digits as one integer,
 * as a double, and multiplies or divides that by a power of ten. The last bit may differ from the nearest double, and where two
 * ways through a word have the same score but for rounding, that bit chooses. So numbers are read here in the same way, from
 * the text. */
#include "text/json_scores.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static double power_of_ten(int exponent) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10,
                                    1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
                                    1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30};
    if (exponent < 31)
        return powers[exponent];
    char text[16];
    snprintf(text, sizeof text, "1e%d", exponent);
    return strtod(text, NULL); /* infinite from 309 on */
}

/* A number: sign, digits, fraction, exponent. Digits beyond 64 bits are dropped. */
double sv_json_score(sv_json number) {
    const char *at = number.text, *const end = at + number.length;
    bool negative = *at == '-', point = false, full = false;
    uint64_t digits = 0;
    int exponent = 0, written = 0;
    for (at += negative; at < end; at++) {
        if (*at == '.') {
            point = true;
            continue;
        }
        if (*at < '0' || *at > '9')
            break;
        uint64_t digit = (uint64_t)(*at - '0');
        full = full || digits > (UINT64_MAX - digit) / 10;
        if (!full)
            digits = digits * 10 + digit;
        if (full ? !point : point)
            exponent += full ? 1 : -1;
    }
    if (at < end) {
        at++; /* e */
        bool minus = *at == '-';
        at += minus || *at == '+';
        for (; at < end; at++)
            written = written < 10000 ? written * 10 + (*at - '0') : written;
        exponent += minus ? -written : written;
    }
    double value = (double)digits;
    if (value != 0 && exponent >= 0)
        value *= power_of_ten(exponent < 400 ? exponent : 400);
    for (; value != 0 && exponent < -308; exponent += 308)
        value /= 1e308;
    if (value != 0 && exponent < 0)
        value /= power_of_ten(-exponent);
    return negative ? -value : value;
}
