/* The option parser. Written here rather than on getopt_long because that one prints messages of its own, accepts abbreviated
 * names, and leaves checks and help text to a second and third list that drift apart from the first. */
#include "cli/options.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "io/closest.h"

enum { MAX_OPTIONS = 64, HELP_COLUMN = 30, HELP_WIDTH = 80 };

/* ----------------------------------------------------------------- values */

bool sv_parse_count(const char *text, size_t *out) {
    size_t value = 0;
    if (!*text)
        return false;
    for (const char *c = text; *c; c++) {
        if (*c < '0' || *c > '9' || __builtin_mul_overflow(value, (size_t)10, &value) ||
            __builtin_add_overflow(value, (size_t)(*c - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool sv_parse_real(const char *text, double *out) {
    if (!*text || strspn(text, "0123456789.e-+") != strlen(text) || *text == '-' || *text == '+')
        return false;
    char *end;
    double value = strtod(text, &end);
    if (*end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

static const struct {
    const char *name;
    double seconds;
} time_units[] = {{"h", 3600}, {"m", 60}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}};
enum { TIME_UNITS = sizeof time_units / sizeof *time_units };

bool sv_parse_duration(const char *text, double unit, double *out) {
    char number[32];
    double value;
    size_t length = strlen(text), digits = length;
    while (digits > 0 && text[digits - 1] >= 'a' && text[digits - 1] <= 'z')
        digits--;
    if (digits >= sizeof number)
        return false;
    memcpy(number, text, digits);
    number[digits] = '\0';
    if (!sv_parse_real(number, &value))
        return false;
    size_t i = 0;
    while (i < TIME_UNITS && strcmp(text + digits, time_units[i].name) != 0)
        i++;
    if (digits < length && i == TIME_UNITS)
        return false;
    *out = value * (digits < length ? time_units[i].seconds : unit);
    return true;
}

/* "50ms", "10s", "1.5m": in the largest unit that leaves a whole number, or else in seconds. */
static void print_duration(double seconds, char *out, size_t size) {
    size_t i = 0;
    if (seconds == 0) {
        snprintf(out, size, "0");
        return;
    }
    while (i + 1 < TIME_UNITS && (seconds < time_units[i].seconds || fmod(seconds / time_units[i].seconds, 1) > 1e-9))
        i++;
    snprintf(out, size, "%g%s", seconds / time_units[i].seconds, time_units[i].name);
}

static bool parse_choice(const sv_option *option, const char *text) {
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(option->choices[i], text) == 0) {
            *option->target.choice = i;
            return true;
        }
    }
    return false;
}

/* "npy, jsonl, f32 or csv" */
static void list_choices(const char *const *choices, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; choices[i] && used < size; i++) {
        const char *joint = i == 0 ? "" : choices[i + 1] ? ", " : " or ";
        used += (size_t)snprintf(out + used, size - used, "%s%s", joint, choices[i]);
    }
}

/* Stores the value of an option that takes one; on failure *complaint says what would have been right. */
static bool store_value(const sv_option *option, const char *text, char *complaint, size_t size) {
    size_t count;
    double real;
    char least[32], most[32];
    switch (option->kind) {
    case SV_KIND_TEXT:
        *option->target.text = text;
        return true;
    case SV_KIND_TEXTS:
        if (option->target.texts->count < SV_MAX_REPEATS) {
            option->target.texts->items[option->target.texts->count++] = text;
            return true;
        }
        snprintf(complaint, size, "at most %d of them", SV_MAX_REPEATS);
        return false;
    case SV_KIND_COUNT:
        if (sv_parse_count(text, &count) && (double)count >= option->least && (double)count <= option->most) {
            *option->target.count = count;
            return true;
        }
        snprintf(complaint, size, "a whole number from %.0f to %.0f", option->least, option->most);
        return false;
    case SV_KIND_REAL:
        if (sv_parse_real(text, &real) && real >= option->least && real <= option->most) {
            *option->target.real = real;
            return true;
        }
        snprintf(complaint, size, "a number from %g to %g", option->least, option->most);
        return false;
    case SV_KIND_DURATION:
        if (sv_parse_duration(text, option->unit, &real) && real >= option->least && real <= option->most) {
            *option->target.seconds = real;
            return true;
        }
        print_duration(option->least, least, sizeof least);
        print_duration(option->most, most, sizeof most);
        snprintf(complaint, size, "a time from %s to %s, such as 50ms, 10s or 2m", least, most);
        return false;
    case SV_KIND_CHOICE:
        if (parse_choice(option, text))
            return true;
        list_choices(option->choices, complaint, size);
        return false;
    default:
        return false;
    }
}

/* ------------------------------------------------------------------- help */

/* Prints words from column *at on, in lines of HELP_WIDTH that begin at column `indent`. */
static void print_words(const char *text, int indent, int *at) {
    while (*(text += strspn(text, " \n"))) {
        int length = (int)strcspn(text, " \n");
        if (*at > indent && *at + 1 + length > HELP_WIDTH) {
            printf("\n%*s", indent, "");
            *at = indent;
        }
        *at += printf("%s%.*s", *at > indent ? " " : "", length, text);
        text += length;
    }
}

/* Paragraphs are wrapped; lines that begin with a blank (examples, tables) stand as they are, and so do empty ones. */
static void print_prose(const char *text) {
    int at = 0;
    while (*text) {
        size_t length = strcspn(text, "\n");
        bool verbatim = length == 0 || *text == ' ';
        if (verbatim && at > 0)
            putchar('\n');
        if (verbatim) {
            printf("%.*s\n", (int)length, text);
            at = 0;
        } else {
            char line[1024];
            snprintf(line, sizeof line, "%.*s", (int)length, text);
            print_words(line, 0, &at);
        }
        text += length + (text[length] == '\n');
    }
    if (at > 0)
        putchar('\n');
}

/* The default that the target holds, in brackets; nothing for an empty one. */
static void put_default(const sv_option *option, char *out, size_t size) {
    char time[32];
    *out = '\0';
    switch (option->kind) {
    case SV_KIND_TEXT:
        if (*option->target.text)
            snprintf(out, size, "[%s]", *option->target.text);
        break;
    case SV_KIND_COUNT:
        if (*option->target.count)
            snprintf(out, size, "[%zu]", *option->target.count);
        break;
    case SV_KIND_REAL:
        if (*option->target.real > 0)
            snprintf(out, size, "[%g]", *option->target.real);
        break;
    case SV_KIND_DURATION:
        print_duration(*option->target.seconds, time, sizeof time);
        if (*option->target.seconds >= option->least) /* else it isn't given */
            snprintf(out, size, "[%s]", time);
        break;
    case SV_KIND_CHOICE:
        if (*option->target.choice >= 0)
            snprintf(out, size, "[%s]", option->choices[*option->target.choice]);
        break;
    default:
        break;
    }
}

/* "npy|jsonl|f32", "FILE" or "": what stands behind the name. */
static void put_value(const sv_option *option, char *out, size_t size) {
    size_t used = 0;
    *out = '\0';
    if (option->kind != SV_KIND_CHOICE)
        snprintf(out, size, "%s", option->value ? option->value : "");
    for (size_t i = 0; option->kind == SV_KIND_CHOICE && option->choices[i] && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? "|" : "", option->choices[i]);
}

static void print_option(const sv_option *option) {
    char head[240], value[160], set[160];
    put_value(option, value, sizeof value);
    put_default(option, set, sizeof set);
    int at = option->letter ? snprintf(head, sizeof head, "  -%c, --%s", option->letter, option->name)
                            : snprintf(head, sizeof head, "      --%s", option->name);
    at += snprintf(head + at, sizeof head - (size_t)at, "%s%s", *value ? " " : "", value);
    if (at + 2 > HELP_COLUMN)
        printf("%s\n%*s", head, HELP_COLUMN, "");
    else
        printf("%-*s", HELP_COLUMN, head);
    at = HELP_COLUMN;
    print_words(option->help, HELP_COLUMN, &at);
    print_words(set, HELP_COLUMN, &at);
    putchar('\n');
}

static void print_text(const sv_usage *usage) {
    bool unused;
    const sv_option help = SV_OPTION_FLAG('h', "help", &unused, "show this");
    printf("Usage: senvec %s\n\n", usage->synopsis);
    print_prose(usage->about);
    printf("\nOptions:\n");
    for (const sv_option *option = usage->options; option->kind != SV_KIND_END; option++)
        if (option->help)
            print_option(option);
    print_option(&help);
    if (usage->notes) {
        putchar('\n');
        print_prose(usage->notes);
    }
}

/* Text for roff: a backslash is doubled, '-' is a minus as it is typed, and a line doesn't begin with a request. */
static void print_roff(const char *text) {
    for (const char *c = text; *c; c++) {
        if (c == text || c[-1] == '\n') {
            if (*c == '\n') {
                printf(".PP");
            } else if (*c == ' ') {
                printf(".br\n\\ ");
            } else if (*c == '.' || *c == '\'') {
                printf("\\&");
            }
        }
        if (*c == '\\')
            printf("\\e");
        else if (*c == '-')
            printf("\\-");
        else
            putchar(*c);
    }
    putchar('\n');
}

static void print_man(const sv_usage *usage) {
    char value[160], set[160];
    printf(".SS ");
    print_roff(usage->synopsis);
    print_roff(usage->about);
    for (const sv_option *option = usage->options; option->kind != SV_KIND_END; option++) {
        if (!option->help)
            continue;
        put_value(option, value, sizeof value);
        put_default(option, set, sizeof set);
        printf(".TP\n");
        if (option->letter)
            printf("\\fB\\-%c\\fR, ", option->letter);
        printf("\\fB\\-\\-");
        for (const char *c = option->name; *c; c++)
            printf(*c == '-' ? "\\-" : "%c", *c);
        printf("\\fR %s\n", value);
        print_roff(option->help);
        if (*set)
            print_roff(set);
    }
    if (usage->notes) {
        printf(".PP\n");
        print_roff(usage->notes);
    }
}

/* The words that may follow the command, for a shell. */
static void print_words_of(const sv_usage *usage) {
    for (const sv_option *option = usage->options; option->kind != SV_KIND_END; option++)
        if (option->help)
            printf("--%s ", option->name);
    printf("--help'");
}

static sv_help_form help_form;

void sv_options_help_as(sv_help_form form) {
    help_form = form;
}

static void print_help(const sv_usage *usage) {
    static void (*const forms[])(const sv_usage *) = {
        [SV_HELP_TEXT] = print_text, [SV_HELP_MAN] = print_man, [SV_HELP_WORDS] = print_words_of};
    forms[help_form](usage);
}

/* ---------------------------------------------------------------- parsing */

static const sv_option *find_name(const sv_option *options, const char *name, size_t length) {
    for (; options->kind != SV_KIND_END; options++)
        if (strlen(options->name) == length && memcmp(options->name, name, length) == 0)
            return options;
    return NULL;
}

static const sv_option *find_letter(const sv_option *options, char letter) {
    for (; options->kind != SV_KIND_END; options++)
        if (options->letter && options->letter == letter)
            return options;
    return NULL;
}

static int fail_unknown(const sv_usage *usage, const char *argument, const char *name) {
    const char *names[MAX_OPTIONS + 2];
    size_t count = 0;
    for (const sv_option *option = usage->options; option->kind != SV_KIND_END && count < MAX_OPTIONS; option++)
        if (option->help)
            names[count++] = option->name;
    names[count++] = "help";
    names[count] = NULL;
    const char *closest = name ? sv_closest(name, names) : NULL;
    if (closest)
        return sv_cli_usage_error("unknown option '%s'; did you mean '--%s'?", argument, closest);
    return sv_cli_usage_error("unknown option '%s'; '--help' lists them", argument);
}

/* One argument that begins with "--". *index moves on if it takes the next argument as its value. */
static int parse_long(const sv_usage *usage, int argc, char **argv, int *index) {
    char *argument = argv[*index];
    char *name = argument + 2;
    char *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);
    if (length == 4 && !equals && memcmp(name, "help", 4) == 0) {
        print_help(usage);
        return SV_EXIT_DONE;
    }
    const sv_option *option = find_name(usage->options, name, length);
    if (!option) {
        if (equals)
            *equals = '\0';
        return fail_unknown(usage, argument, name);
    }
    if (option->kind == SV_KIND_FLAG) {
        if (equals)
            return sv_cli_usage_error("option '--%s' takes no value", option->name);
        *option->target.flag = true;
        return SV_RUN;
    }
    if (!equals && *index + 1 >= argc)
        return sv_cli_usage_error("option '--%s' needs a value", option->name);
    const char *value = equals ? equals + 1 : argv[++*index];
    char complaint[256];
    if (!store_value(option, value, complaint, sizeof complaint))
        return sv_cli_usage_error("option '--%s' takes %s, not '%s'", option->name, complaint, value);
    return SV_RUN;
}

/* One argument of letters: flags, and at the end perhaps one option with its value. */
static int parse_letters(const sv_usage *usage, int argc, char **argv, int *index) {
    for (const char *letter = argv[*index] + 1; *letter; letter++) {
        const sv_option *option = find_letter(usage->options, *letter);
        if (!option && *letter == 'h') {
            print_help(usage);
            return SV_EXIT_DONE;
        }
        if (!option)
            return fail_unknown(usage, (char[]){'-', *letter, '\0'}, NULL);
        if (option->kind == SV_KIND_FLAG) {
            *option->target.flag = true;
            continue;
        }
        if (!letter[1] && *index + 1 >= argc)
            return sv_cli_usage_error("option '-%c' needs a value", *letter);
        const char *value = letter[1] ? letter + 1 : argv[++*index];
        char complaint[256];
        if (!store_value(option, value, complaint, sizeof complaint))
            return sv_cli_usage_error("option '-%c' takes %s, not '%s'", *letter, complaint, value);
        break;
    }
    return SV_RUN;
}

int sv_options_parse(const sv_usage *usage, int argc, char **argv, sv_operands *out) {
    size_t operands = 0;
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        char *argument = argv[i];
        int code = SV_RUN;
        if (only_operands || argument[0] != '-' || !argument[1])
            argv[1 + operands++] = argument;
        else if (strcmp(argument, "--") == 0)
            only_operands = true;
        else if (argument[1] == '-')
            code = parse_long(usage, argc, argv, &i);
        else
            code = parse_letters(usage, argc, argv, &i);
        if (code != SV_RUN)
            return code;
    }
    if (operands < usage->least_operands)
        return sv_cli_usage_error("something is missing; usage: senvec %s", usage->synopsis);
    if (operands > usage->most_operands)
        return sv_cli_usage_error("'%s' is one argument too many; usage: senvec %s", argv[1 + usage->most_operands],
                                  usage->synopsis);
    *out = (sv_operands){operands, argv + 1};
    return SV_RUN;
}
