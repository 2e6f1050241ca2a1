#include "loadgen/service_address.h"

#include <stdio.h>
#include <string.h>

static senvec_status refuse(const char *text, const char *why, senvec_error *err) {
    return sv_fail(err, SENVEC_INVALID_ARGUMENT, 0, "'%s': %s; expected http://HOST[:PORT][/PATH][,DIALECT][,MODEL]", text,
                   why);
}

static bool known_dialect(const char *word, size_t length, sv_load_dialect *out) {
    for (size_t i = 0; sv_load_dialect_choices[i]; i++)
        if (strlen(sv_load_dialect_choices[i]) == length && memcmp(sv_load_dialect_choices[i], word, length) == 0) {
            *out = (sv_load_dialect)i;
            return true;
        }
    return false;
}

senvec_status sv_service_address_parse(const char *text, sv_service_address *out, senvec_error *err) {
    char url[SV_SERVICE_URL];
    const char *at = text;
    sv_service_address address = {0};
    size_t part = strcspn(at, ",");
    if (part >= sizeof url)
        return refuse(text, "too long an address", err);
    snprintf(url, sizeof url, "%.*s", (int)part, at);
    SENVEC_TRY(sv_url_parse(url, &address.url, err));
    at += part;
    if (*at == ',' && known_dialect(at + 1, strcspn(at + 1, ","), &address.dialect))
        at += 1 + strcspn(at + 1, ",");
    if (*at == ',' && strlen(at + 1) >= sizeof address.model)
        return refuse(text, "too long a model's name", err);
    if (*at == ',' && strchr(at + 1, ','))
        return refuse(text, "the dialects are openai, openai-base64, tei, ollama", err);
    snprintf(address.model, sizeof address.model, "%s", *at == ',' ? at + 1 : "");
    *out = address;
    return SENVEC_OK;
}

void sv_service_address_url(const sv_url *url, sv_load_dialect dialect, char out[SV_SERVICE_URL]) {
    snprintf(out, SV_SERVICE_URL, "http://%s%s", url->authority,
             strcmp(url->path, "/") == 0 ? sv_load_dialect_path(dialect) : url->path);
}
