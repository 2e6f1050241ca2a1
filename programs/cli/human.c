/* Figures for people. */
#include "cli/human.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *sv_human_count(char out[SV_HUMAN], uint64_t value) {
    char digits[24];
    int count = snprintf(digits, sizeof digits, "%" PRIu64, value);
    char *to = out;
    for (int i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

const char *sv_human_bytes(char out[SV_HUMAN], uint64_t bytes) {
    const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 999.95 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(out, SV_HUMAN, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return out;
}

const char *sv_human_rate(char out[SV_HUMAN], double value) {
    if (value >= 99.95 && value < 1e15)
        return sv_human_count(out, (uint64_t)(value + 0.5));
    snprintf(out, SV_HUMAN, value >= 9.995 ? "%.1f" : "%.2f", value);
    return out;
}

const char *sv_human_seconds(char out[SV_HUMAN], double value) {
    uint64_t whole = (uint64_t)(value + 0.5);
    if (value < 0.9995)
        snprintf(out, SV_HUMAN, "%.3f s", value);
    else if (value < 9.995)
        snprintf(out, SV_HUMAN, "%.2f s", value);
    else if (value < 59.95)
        snprintf(out, SV_HUMAN, "%.1f s", value);
    else if (whole < 3600)
        snprintf(out, SV_HUMAN, "%" PRIu64 " min %02" PRIu64 " s", whole / 60, whole % 60);
    else
        snprintf(out, SV_HUMAN, "%" PRIu64 " h %02" PRIu64 " min", whole / 3600, whole % 3600 / 60);
    return out;
}

const char *sv_human_countdown(char out[SV_HUMAN], double value) {
    uint64_t whole = (uint64_t)(value + 0.5);
    if (whole < 3600)
        snprintf(out, SV_HUMAN, "%" PRIu64 ":%02" PRIu64, whole / 60, whole % 60);
    else
        snprintf(out, SV_HUMAN, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, whole / 3600, whole % 3600 / 60, whole % 60);
    return out;
}

bool sv_human_colour(FILE *stream) {
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");
    return isatty(fileno(stream)) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

/* The first of the three that is set decides, as in setlocale. */
bool sv_human_unicode(void) {
    const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}
