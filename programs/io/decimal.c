/* Floats as decimal text. printf("%.9g") takes several hundred nanoseconds a number, a sizeable part of the time of embedding a
 * short text; this takes a tenth of it.
 *
 * How: a float is exactly a double. Scaled by a power of ten so that nine digits stand before the point, then rounded, it is
 * off by half a unit of the ninth digit plus a few roundings of 2^-53. That is far below half the distance to a neighbouring
 * float, which is at least 2^-25 of the value, three units of the ninth digit. So nine digits always read back. Fewer are kept
 * only where they read back with room to spare: within a little less than half the distance to the nearer neighbour, so that a
 * reader who rounds twice (to double, then to float) gets the same float. Powers of ten up to 10^22 are exact doubles; values
 * that need larger ones, which vectors don't have, are left to printf. */
#include "io/decimal.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 9 };

/* Between these, no power above 10^22 is needed. */
static const float SMALLEST = 1e-13f, LARGEST = 1e20f;

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* x * 10^exponent with one rounding. */
static double scale(double x, int exponent) {
    return exponent >= 0 ? x * powers[exponent] : x / powers[-exponent];
}

/* Of a positive float, the distance to the next one towards zero: the nearer one where the value is a power of two. */
static double distance_to_neighbour(uint32_t bits) {
    uint32_t below_bits = bits - 1;
    float value, below;
    memcpy(&value, &bits, sizeof value);
    memcpy(&below, &below_bits, sizeof below);
    return (double)value - (double)below;
}

/* A short n with n * 10^power reading back as `value`, SMALLEST <= value <= LARGEST. */
static uint32_t shorten(float value, int *power) {
    double exact = value;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    int binary = (int)(bits >> 23) - 127;
    int decimal = (binary * 78913) >> 18; /* binary * log10(2), rounded down: floor(log10(value)) or one less */
    int up = DIGITS - 1 - decimal;
    double digits = scale(exact, up);
    if (digits >= 1e9)
        digits = scale(exact, --up);
    double room = 0.4999999 * distance_to_neighbour(bits);
    uint32_t best = (uint32_t)(digits + 0.5);
    *power = -up;
    for (int dropped = 1; dropped <= DIGITS; dropped++) {
        uint32_t fewer = (uint32_t)(digits / powers[dropped] + 0.5);
        if (fabs(scale(fewer, dropped - up) - exact) > room)
            break;
        best = fewer;
        *power = dropped - up;
    }
    return best;
}

/* The digits of n; returns how many. */
static int put_digits(uint32_t n, char out[10]) {
    char reversed[10];
    int count = 0;
    do
        reversed[count++] = (char)('0' + n % 10);
    while ((n /= 10) != 0);
    for (int i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

size_t sv_decimal_f32(float value, char *out) {
    float magnitude = fabsf(value);
    if (!(magnitude >= SMALLEST && magnitude <= LARGEST)) /* zero and not-a-number, too */
        return (size_t)snprintf(out, SV_DECIMAL_MAX, "%.9g", (double)value);
    char *to = out;
    if (value < 0)
        *to++ = '-';
    char digits[10];
    int power;
    int count = put_digits(shorten(magnitude, &power), digits);
    int point = count + power; /* digits before the decimal point */
    if (point > DIGITS || point < -3) {
        *to++ = digits[0];
        if (count > 1) {
            *to++ = '.';
            memcpy(to, digits + 1, (size_t)count - 1);
            to += count - 1;
        }
        int exponent = point - 1;
        *to++ = 'e';
        *to++ = exponent < 0 ? '-' : '+';
        exponent = exponent < 0 ? -exponent : exponent;
        *to++ = (char)('0' + exponent / 10);
        *to++ = (char)('0' + exponent % 10);
        return (size_t)(to - out);
    }
    if (point <= 0) {
        memcpy(to, "0.000", 5);
        to += 2 - point;
        memcpy(to, digits, (size_t)count);
        return (size_t)(to + count - out);
    }
    for (int i = 0; i < count || i < point; i++) {
        if (i == point)
            *to++ = '.';
        *to++ = i < count ? digits[i] : '0';
    }
    return (size_t)(to - out);
}
