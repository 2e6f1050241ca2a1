#include "loadgen/mix.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One VALUE[:WEIGHT] up to a comma or the end; *text moves behind it. */
static bool parse_entry(const char **text, size_t most, size_t *value, double *weight) {
    const char *at = *text;
    char *end;
    *value = 0;
    for (; *at >= '0' && *at <= '9' && *value <= most; at++)
        *value = *value * 10 + (size_t)(*at - '0');
    if (at == *text || *value < 1 || *value > most)
        return false;
    *weight = 1;
    if (*at == ':') {
        *weight = strtod(++at, &end);
        if (end == at || strchr("+- \t", *at) || !(*weight > 0 && isfinite(*weight)))
            return false;
        at = end;
    }
    *text = at;
    return *at == ',' || *at == '\0';
}

senvec_status sv_mix_parse(const char *text, size_t most, const char *what, sv_mix *out, senvec_error *err) {
    sv_mix mix = {0};
    const char *at = text;
    do {
        if (mix.count == SV_MIX_MAX)
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "%s '%s': at most %d values", what, text, SV_MIX_MAX);
        if (!parse_entry(&at, most, &mix.values[mix.count], &mix.weights[mix.count]))
            return sv_fail(err, SENVEC_INVALID_ARGUMENT, (uint64_t)(at - text),
                           "%s '%s': expected N or N:WEIGHT, commas between them, N from 1 to %zu", what, text, most);
        mix.count++;
    } while (*at++ == ',');
    *out = mix;
    return SENVEC_OK;
}

size_t sv_mix_draw(const sv_mix *mix, sv_random *random) {
    double total = 0;
    for (size_t i = 0; i < mix->count; i++)
        total += mix->weights[i];
    double left = sv_random_unit(random) * total;
    size_t i = 0;
    while (i + 1 < mix->count && left >= mix->weights[i])
        left -= mix->weights[i++];
    return i;
}
