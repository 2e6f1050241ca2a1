#include "cli/option_environment.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_given(const sv_option *option, int argc, char **argv) {
    const char *name = option->name;
    size_t length = strlen(name);
    for (int i = 1; i < argc; i++) {
        if (option->letter && argv[i][0] == '-' && argv[i][1] == option->letter)
            return true;
        if (strncmp(argv[i], "--", 2) == 0 && strncmp(argv[i] + 2, name, length) == 0 &&
            (argv[i][2 + length] == '\0' || argv[i][2 + length] == '='))
            return true;
    }
    return false;
}

int sv_option_environment(const char *prefix, const sv_option *options, int argc, char **argv, char *out[SV_OPTION_ARGUMENTS]) {
    static char text[16384]; /* options keep pointers into it */
    size_t used = 0;
    int count = 0;
    out[count++] = argv[0];
    for (const sv_option *option = options; option->kind != SV_KIND_END; option++) {
        char name[64];
        size_t length = (size_t)snprintf(name, sizeof name, "%s", prefix);
        for (const char *c = option->name; *c && length + 1 < sizeof name; c++)
            name[length++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
        name[length] = '\0';
        const char *value = getenv(name);
        if (!value || !*value || (option->kind == SV_KIND_TEXTS && is_given(option, argc, argv)) ||
            (option->kind == SV_KIND_FLAG && strcmp(value, "1") != 0))
            continue;
        const char *joint = option->kind == SV_KIND_FLAG ? "" : "=";
        int size = snprintf(text + used, sizeof text - used, "--%s%s%s", option->name, joint, *joint ? value : "");
        if (size < 0 || (size_t)size >= sizeof text - used)
            return -1;
        out[count++] = text + used;
        used += (size_t)size + 1;
    }
    for (int i = 1; i < argc && count < SV_OPTION_ARGUMENTS; i++)
        out[count++] = argv[i];
    return count;
}
